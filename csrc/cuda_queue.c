/* Streams, waiting for them, and memory of a device. */
#include <time.h>

#include "cuda.h"
#include "memory.h"
#include "status.h"

/* What every driver's pools give. */
#define POOL_ALIGNMENT 256u

int32_t tp_cuda_queue_open(tp_cuda_device *device, uint32_t spin_us, tp_cuda_queue *queue) {
  const tp_cuda *cuda = device->cuda;
  *queue = (tp_cuda_queue){.device = device, .spin_us = spin_us};
  int error = cuda->stream_create(&queue->stream, CU_STREAM_NON_BLOCKING, 0);
  if (error == 0) error = cuda->event_create(&queue->done, CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING);
  int32_t status = tp_cuda_check(device, error, TP_ERR_MEMORY, "cannot create a CUDA stream");
  if (status != TP_OK) tp_cuda_queue_close(queue);
  return status;
}

/* What closing answers is not told: there is nothing that a caller could do about it. */
void tp_cuda_queue_close(tp_cuda_queue *queue) {
  if (queue->device == NULL) return;
  const tp_cuda *cuda = queue->device->cuda;
  if (queue->stream != NULL) {
    (void)cuda->stream_wait(queue->stream);
    (void)cuda->stream_destroy(queue->stream);
  }
  if (queue->done != NULL) (void)cuda->event_destroy(queue->done);
  *queue = (tp_cuda_queue){0};
}

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Sleeping costs the wake-up of a thread, so short waits are spent looking. */
static int wait_for_event(const tp_cuda_queue *queue) {
  const tp_cuda *cuda = queue->device->cuda;
  uint64_t until = queue->spin_us > 0 ? now_us() + queue->spin_us : 0;
  int error = CU_ERROR_NOT_READY;
  while (until > 0 && (error = cuda->event_query(queue->done)) == CU_ERROR_NOT_READY && now_us() < until) {}
  return error == CU_ERROR_NOT_READY ? cuda->event_wait(queue->done) : error;
}

int32_t tp_cuda_queue_wait(const tp_cuda_queue *queue, const char *doing) {
  const tp_cuda *cuda = queue->device->cuda;
  int error = cuda->event_record(queue->done, queue->stream);
  if (error == 0) error = wait_for_event(queue);
  /* Whoever is told that it failed may do with the memory what it likes. */
  if (error != 0) (void)cuda->stream_wait(queue->stream);
  return tp_cuda_check(queue->device, error, TP_ERR_EXECUTION, doing);
}

int32_t tp_cuda_memory_fit(const tp_cuda_queue *queue, tp_cuda_memory *memory, uint64_t bytes,
                           uint64_t alignment) {
  uint64_t more = alignment > POOL_ALIGNMENT ? alignment - POOL_ALIGNMENT : 0;
  /* Also a tensor of no elements needs an address that is not 0. */
  if (bytes == 0) bytes = 1;
  if (bytes <= memory->bytes && (more == 0 || memory->at % alignment == 0)) return TP_OK;
  tp_cuda_memory_free(queue, memory);
  tp_text doing = {0};
  tp_text_add(&doing, "cannot get %llu bytes of device memory for a batch", (unsigned long long)bytes);
  if (bytes > SIZE_MAX / 2 || more > SIZE_MAX / 2) return tp_fail(TP_ERR_MEMORY, "%s", doing.text);
  CUdeviceptr taken = 0;
  int error = queue->device->cuda->memory_take(&taken, (size_t)(bytes + more), queue->stream);
  if (error == 0) *memory = (tp_cuda_memory){taken, bytes, taken};
  if (more > 0) memory->at = (taken + alignment - 1) / alignment * alignment;
  return tp_cuda_check(queue->device, error, TP_ERR_MEMORY, doing.text);
}

void tp_cuda_memory_free(const tp_cuda_queue *queue, tp_cuda_memory *memory) {
  if (memory->taken != 0) (void)queue->device->cuda->memory_give(memory->taken, queue->stream);
  *memory = (tp_cuda_memory){0};
}

int32_t tp_cuda_host_alloc(tp_cuda_device *device, uint64_t bytes, void **memory) {
  *memory = NULL;
  int32_t status = tp_cuda_enter(device);
  if (status != TP_OK) return status;
  int error = device->cuda->host_take(memory, bytes > 0 ? (size_t)bytes : 1, CU_MEMHOSTALLOC_PORTABLE);
  return tp_cuda_check(device, error, TP_ERR_MEMORY, "cannot get pinned host memory for a batch");
}

void tp_cuda_host_free(tp_cuda_device *device, void *memory) {
  if (memory == NULL) return;
  (void)device->cuda->context_set(device->context);
  (void)device->cuda->host_give(memory);
}
