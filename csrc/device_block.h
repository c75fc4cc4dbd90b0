/*
 * A block of device memory that several tensors and results may share; the last to let go of it gives it
 * back. What a device's blocks take together is counted, and may be limited.
 */
#ifndef TP_DEVICE_BLOCK_H
#define TP_DEVICE_BLOCK_H

#include "cuda.h"

typedef struct tp_device_block {
  tp_cuda_device *device;
  CUdeviceptr at;
  uint64_t bytes;
  bool foreign; /* somebody else's memory: never given back by us */
  _Atomic uint32_t references;
} tp_device_block;

/* New memory, at least one byte, in the order of the queue's stream: before another stream uses it, the queue
 * must have been waited for. One reference. Errors: MEMORY (also above the limit), DEVICE. */
int32_t tp_device_block_allocate(const tp_cuda_queue *queue, uint64_t bytes, tp_device_block **block);

/* Somebody else's memory. Errors: MEMORY. */
int32_t tp_device_block_wrap(tp_cuda_device *device, CUdeviceptr at, uint64_t bytes, tp_device_block **block);

void tp_device_block_retain(tp_device_block *block);
/* Any thread. NULL is ignored. */
void tp_device_block_release(tp_device_block *block);

#endif
