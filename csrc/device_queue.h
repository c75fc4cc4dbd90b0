/*
 * Work on a device from threads that have no stream of their own: a caller's copies, and giving memory back.
 * A few streams of each device are kept for that, and each is one thread's at a time.
 */
#ifndef TP_DEVICE_QUEUE_H
#define TP_DEVICE_QUEUE_H

#include "cuda.h"

/*
 * A stream of the device, with the device's context as the thread's until it is given back. What the thread
 * had for a context before, it has again then: it may be one on which somebody else works with CUDA. Errors:
 * DEVICE, MEMORY.
 */
int32_t tp_device_queue_take(tp_cuda_device *device, tp_cuda_queue *queue);
void tp_device_queue_give(tp_cuda_queue *queue);

/* Gives memory back, in the order of a stream of ours. Whoever used it has waited for what it queued. */
void tp_device_queue_free(tp_cuda_device *device, CUdeviceptr at);

#ifdef TRTPIPE_FAULT
/* Closes the streams that are kept, so that a test can see that nothing else is left. */
void tp_device_queues_close(void);
#endif

#endif
