#include "device_queue.h"

#include <pthread.h>

#include "status.h"

/* Streams of one device that wait for the next one who needs some. */
#define KEPT 4
/* Copies of a caller's are short: its thread rather looks than sleeps. */
#define SPIN_US 50

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  tp_cuda_queue queues[KEPT];
  uint32_t count;
} kept[TP_CUDA_DEVICES_MAX];

static bool take_kept(const tp_cuda_device *device, tp_cuda_queue *queue) {
  pthread_mutex_lock(&lock);
  uint32_t *count = &kept[device->ordinal].count;
  bool taken = *count > 0;
  if (taken) *queue = kept[device->ordinal].queues[--*count];
  pthread_mutex_unlock(&lock);
  return taken;
}

static bool keep(const tp_cuda_queue *queue) {
  pthread_mutex_lock(&lock);
  uint32_t *count = &kept[queue->device->ordinal].count;
  bool room = *count < KEPT;
  if (room) kept[queue->device->ordinal].queues[(*count)++] = *queue;
  pthread_mutex_unlock(&lock);
  return room;
}

static void leave(const tp_cuda_device *device) {
  CUcontext ours;
  (void)device->cuda->context_pop(&ours);
}

int32_t tp_device_queue_take(tp_cuda_device *device, tp_cuda_queue *queue) {
  *queue = (tp_cuda_queue){0};
  int error = device->cuda->context_push(device->context);
  if (error != 0)
    return tp_cuda_check(device, error, TP_ERR_DEVICE, "cannot use the CUDA device on this thread");
  int32_t status = tp_cuda_enter(device);
  if (status == TP_OK && !take_kept(device, queue)) status = tp_cuda_queue_open(device, SPIN_US, queue);
  if (status != TP_OK) leave(device);
  return status;
}

void tp_device_queue_give(tp_cuda_queue *queue) {
  const tp_cuda_device *device = queue->device;
  if (!keep(queue)) tp_cuda_queue_close(queue);
  leave(device);
  *queue = (tp_cuda_queue){0};
}

/* What fails here is not told: a context that is lost has lost its memory, too. */
void tp_device_queue_free(tp_cuda_device *device, CUdeviceptr at) {
  tp_cuda_queue queue = {0};
  if (device->cuda->context_push(device->context) != 0) return;
  if (take_kept(device, &queue) || tp_cuda_queue_open(device, SPIN_US, &queue) == TP_OK) {
    (void)device->cuda->memory_give(at, queue.stream);
    if (!keep(&queue)) tp_cuda_queue_close(&queue);
  } else {
    /* There may be no memory for a stream, of all things while memory is given back: this needs none. */
    (void)device->cuda->memory_end(at);
  }
  leave(device);
}

#ifdef TRTPIPE_FAULT
void tp_device_queues_close(void) {
  for (uint32_t ordinal = 0; ordinal < TP_CUDA_DEVICES_MAX; ordinal++) {
    tp_cuda_device *device = tp_cuda_device_at(ordinal);
    tp_cuda_queue queue;
    while (device != NULL && take_kept(device, &queue)) {
      (void)device->cuda->context_push(device->context);
      tp_cuda_queue_close(&queue);
      leave(device);
    }
  }
}
#endif
