/*
 * Device tensors: handles on a range of a block. A handle has references, so that memory stays for as long as
 * somebody needs it: one for each owner, one for each row that waits or runs. The last one closes the handle.
 */
#ifndef TP_DEVICE_TENSOR_H
#define TP_DEVICE_TENSOR_H

#include "device_block.h"

typedef struct tp_device_tensor {
  tp_device_block *block;
  CUdeviceptr at;
  uint64_t bytes;
  _Atomic uint32_t references;
} tp_device_tensor;

/* A handle on bytes of a block, with one reference. It retains the block. Errors: MEMORY. */
int32_t tp_device_tensor_open(tp_device_block *block, uint64_t offset, uint64_t bytes, uint32_t *tensor_out);

/* The device if it was opened, else UNSUPPORTED. */
int32_t tp_device_opened(uint32_t ordinal, tp_cuda_device **device);

#endif
