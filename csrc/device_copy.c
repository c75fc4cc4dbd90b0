/* Copies between host memory and device tensors, and among device tensors. They block the calling thread. */
#include "device_queue.h"
#include "device_tensor.h"
#include "handles.h"
#include "status.h"

static int32_t check_range(const tp_device_tensor *t, uint64_t offset, const void *memory, uint64_t bytes) {
  if (memory == NULL && bytes > 0)
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy a device tensor: the memory is NULL");
  if (offset <= t->bytes && bytes <= t->bytes - offset) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot copy a device tensor: %llu bytes from byte %llu on are not within its %llu bytes",
                 (unsigned long long)bytes, (unsigned long long)offset, (unsigned long long)t->bytes);
}

/* One of the pointers is `host`; the other is the tensor. */
static int32_t copy(const tp_device_tensor *t, uint64_t offset, void *to, const void *from, uint64_t bytes) {
  static const char doing[] = "cannot copy a device tensor";
  int32_t status = check_range(t, offset, to != NULL ? to : from, bytes);
  if (status != TP_OK || bytes == 0) return status;
  tp_cuda_device *device = t->block->device;
  tp_cuda_queue queue;
  status = tp_device_queue_take(device, &queue);
  if (status != TP_OK) return status;
  int error = to != NULL ? device->cuda->to_host(to, t->at + offset, (size_t)bytes, queue.stream)
                         : device->cuda->to_device(t->at + offset, from, (size_t)bytes, queue.stream);
  status = tp_cuda_check(device, error, TP_ERR_EXECUTION, doing);
  if (status == TP_OK) status = tp_cuda_queue_wait(&queue, doing);
  tp_device_queue_give(&queue);
  return status;
}

int32_t tp_device_write(uint32_t tensor, uint64_t offset, const void *from, uint64_t bytes) {
  const tp_device_tensor *t = tp_handle_pin(tensor, TP_KIND_DEVICE);
  if (t == NULL) return TP_ERR_HANDLE;
  int32_t status = copy(t, offset, NULL, from, bytes);
  tp_handle_unpin(tensor);
  return status;
}

int32_t tp_device_read(uint32_t tensor, uint64_t offset, void *to, uint64_t bytes) {
  const tp_device_tensor *t = tp_handle_pin(tensor, TP_KIND_DEVICE);
  if (t == NULL) return TP_ERR_HANDLE;
  int32_t status =
      to == NULL && bytes > 0 ? check_range(t, offset, NULL, bytes) : copy(t, offset, to, NULL, bytes);
  tp_handle_unpin(tensor);
  return status;
}

/* Puts a part behind the others. */
static int32_t append(const tp_cuda_queue *queue, const tp_device_block *to, uint64_t at,
                      const tp_device_tensor *part) {
  const tp_cuda_device *from = part->block->device;
  const tp_cuda *cuda = queue->device->cuda;
  if (part->bytes == 0) return TP_OK;
  int error = from == queue->device
                  ? cuda->on_device(to->at + at, part->at, (size_t)part->bytes, queue->stream)
                  : cuda->to_peer(to->at + at, queue->device->context, part->at, from->context,
                                  (size_t)part->bytes, queue->stream);
  return tp_cuda_check(queue->device, error, TP_ERR_EXECUTION, "cannot join device tensors");
}

/* Adds up the sizes; all handles are good at this moment. `device` is that of the first. */
static int32_t measure(const uint32_t *tensors, uint32_t count, uint64_t *bytes, tp_cuda_device **device) {
  *bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    const tp_device_tensor *t = tp_handle_pin(tensors[i], TP_KIND_DEVICE);
    if (t == NULL) return TP_ERR_HANDLE;
    if (i == 0) *device = t->block->device;
    bool fits = t->bytes <= SIZE_MAX / 2 - *bytes;
    if (fits) *bytes += t->bytes;
    tp_handle_unpin(tensors[i]);
    if (!fits) return tp_fail(TP_ERR_MEMORY, "cannot join device tensors: they are too large together");
  }
  return TP_OK;
}

/* The parts behind each other, waited for before their pins end. They are looked at anew: what the caller's
 * memory says may have changed meanwhile. */
static int32_t fill(const tp_cuda_queue *queue, const tp_device_block *block, const uint32_t *tensors,
                    uint32_t count) {
  int32_t status = TP_OK;
  uint64_t at = 0;
  for (uint32_t i = 0; status == TP_OK && i < count; i++) {
    uint32_t handle = tensors[i];
    const tp_device_tensor *t = tp_handle_pin(handle, TP_KIND_DEVICE);
    if (t == NULL) return TP_ERR_HANDLE;
    status = t->bytes <= block->bytes - at ? append(queue, block, at, t)
                                           : tp_fail(TP_ERR_ARGUMENT, "cannot join: the handles changed");
    at += t->bytes;
    if (status == TP_OK) status = tp_cuda_queue_wait(queue, "cannot join device tensors");
    tp_handle_unpin(handle);
  }
  return status;
}

int32_t tp_device_join(const uint32_t *tensors, uint32_t count, uint32_t *tensor_out) {
  tp_cuda_device *device = NULL;
  tp_device_block *block = NULL;
  tp_cuda_queue queue;
  uint64_t bytes;
  if (tensors == NULL || tensor_out == NULL || count == 0) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot join device tensors: %s",
                   count == 0 ? "there are none" : "a pointer is NULL");
  }
  int32_t status = measure(tensors, count, &bytes, &device);
  if (status == TP_OK) status = tp_device_queue_take(device, &queue);
  if (status != TP_OK) return status;
  status = tp_device_block_allocate(&queue, bytes, &block);
  if (status == TP_OK) status = fill(&queue, block, tensors, count);
  tp_device_queue_give(&queue);
  if (status == TP_OK) status = tp_device_tensor_open(block, 0, bytes, tensor_out);
  tp_device_block_release(block);
  return status;
}
