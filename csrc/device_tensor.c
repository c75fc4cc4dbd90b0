#include "device_tensor.h"

#include "device_queue.h"
#include "handles.h"
#include "memory.h"
#include "status.h"

static void finalize(void *object) {
  tp_device_tensor *tensor = object;
  tp_device_block_release(tensor->block);
  tp_free(tensor);
}

int32_t tp_device_tensor_open(tp_device_block *block, uint64_t offset, uint64_t bytes, uint32_t *tensor_out) {
  tp_device_tensor *tensor = tp_alloc(sizeof *tensor);
  if (tensor == NULL) return TP_ERR_MEMORY;
  tensor->block = block;
  tensor->at = block->at + offset;
  tensor->bytes = bytes;
  atomic_init(&tensor->references, 1);
  tp_device_block_retain(block);
  int32_t status = tp_handle_open(TP_KIND_DEVICE, tensor, finalize, tensor_out);
  if (status != TP_OK) finalize(tensor);
  return status;
}

int32_t tp_device_opened(uint32_t ordinal, tp_cuda_device **device) {
  *device = tp_cuda_device_at(ordinal);
  if (*device != NULL) return TP_OK;
  return tp_fail(TP_ERR_UNSUPPORTED, "cannot use CUDA device %u: it was not opened (tp_device_open)",
                 ordinal);
}

static int32_t allocate(tp_cuda_device *device, uint64_t bytes, uint32_t *tensor_out) {
  tp_cuda_queue queue;
  tp_device_block *block = NULL;
  int32_t status = tp_device_queue_take(device, &queue);
  if (status != TP_OK) return status;
  status = tp_device_block_allocate(&queue, bytes, &block);
  /* Other streams may use it from now on. */
  if (status == TP_OK) status = tp_cuda_queue_wait(&queue, "cannot get device memory for a tensor");
  tp_device_queue_give(&queue);
  if (status == TP_OK) status = tp_device_tensor_open(block, 0, bytes, tensor_out);
  tp_device_block_release(block);
  return status;
}

int32_t tp_device_allocate(uint32_t device, uint64_t bytes, uint32_t *tensor_out) {
  tp_cuda_device *d;
  if (tensor_out == NULL)
    return tp_fail(TP_ERR_ARGUMENT, "cannot allocate a device tensor: tensor_out is NULL");
  int32_t status = tp_device_opened(device, &d);
  return status == TP_OK ? allocate(d, bytes, tensor_out) : status;
}

/* What CUDA says about a pointer; false if it knows none of that kind. */
static bool ask(const tp_cuda_device *device, int attribute, CUdeviceptr at, void *value) {
  return device->cuda->pointer_get(value, attribute, at) == 0;
}

/* Whether all of it is memory of that device: a copy from elsewhere would lose the device for everybody. */
static int32_t check_pointer(const tp_cuda_device *device, CUdeviceptr at, uint64_t bytes) {
  unsigned type = 0;
  int ordinal = -1;
  CUdeviceptr start = 0;
  size_t size = 0;
  if (!ask(device, CU_POINTER_MEMORY_TYPE, at, &type) || type != CU_MEMORY_ON_DEVICE ||
      !ask(device, CU_POINTER_ORDINAL, at, &ordinal)) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot wrap 0x%llx: it is not device memory", (unsigned long long)at);
  }
  if (ordinal != device->ordinal) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot wrap 0x%llx: it is memory of CUDA device %d, not of device %d",
                   (unsigned long long)at, ordinal, device->ordinal);
  }
  if (ask(device, CU_POINTER_RANGE_START, at, &start) && ask(device, CU_POINTER_RANGE_SIZE, at, &size) &&
      at >= start && at - start <= size && bytes <= size - (at - start))
    return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT, "cannot wrap 0x%llx: CUDA does not know %llu bytes there",
                 (unsigned long long)at, (unsigned long long)bytes);
}

int32_t tp_device_wrap(uint32_t device, uint64_t address, uint64_t bytes, uint32_t *tensor_out) {
  tp_cuda_device *d;
  tp_device_block *block = NULL;
  if (tensor_out == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot wrap device memory: tensor_out is NULL");
  int32_t status = tp_device_opened(device, &d);
  tp_cuda_queue queue;
  if (status == TP_OK) status = tp_device_queue_take(d, &queue);
  if (status != TP_OK) return status;
  status = check_pointer(d, address, bytes);
  tp_device_queue_give(&queue);
  if (status == TP_OK) status = tp_device_block_wrap(d, address, bytes, &block);
  if (status == TP_OK) status = tp_device_tensor_open(block, 0, bytes, tensor_out);
  tp_device_block_release(block);
  return status;
}

int32_t tp_device_info(uint32_t tensor, uint64_t *info) {
  if (info == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot describe a device tensor: info is NULL");
  const tp_device_tensor *t = tp_handle_pin(tensor, TP_KIND_DEVICE);
  if (t == NULL) return TP_ERR_HANDLE;
  info[0] = (uint64_t)t->block->device->ordinal;
  info[1] = t->at;
  info[2] = t->bytes;
  info[3] = atomic_load_explicit(&t->references, memory_order_relaxed);
  tp_handle_unpin(tensor);
  return TP_OK;
}

/* Adds references, if there is one yet and room for more. */
static int32_t add(tp_device_tensor *t, uint32_t count) {
  uint32_t now = atomic_load_explicit(&t->references, memory_order_relaxed);
  do {
    if (now == 0) return tp_fail(TP_ERR_HANDLE, "cannot retain a device tensor: it was released");
    if (count > UINT32_MAX - now)
      return tp_fail(TP_ERR_ARGUMENT, "cannot retain a device tensor %u times more", count);
  } while (!atomic_compare_exchange_weak(&t->references, &now, now + count));
  return TP_OK;
}

int32_t tp_device_retain(uint32_t tensor, uint32_t count) {
  tp_device_tensor *t = tp_handle_pin(tensor, TP_KIND_DEVICE);
  if (t == NULL) return TP_ERR_HANDLE;
  int32_t status = add(t, count);
  tp_handle_unpin(tensor);
  return status;
}

int32_t tp_device_release(uint32_t tensor, uint32_t count) {
  tp_device_tensor *t = tp_handle_pin(tensor, TP_KIND_DEVICE);
  if (t == NULL) return TP_ERR_HANDLE;
  int32_t status = TP_OK;
  uint32_t now = atomic_load_explicit(&t->references, memory_order_relaxed);
  while (count <= now && !atomic_compare_exchange_weak(&t->references, &now, now - count)) {}
  if (count > now) {
    status =
        tp_fail(TP_ERR_HANDLE, "cannot release a device tensor %u times: it has %u references", count, now);
  } else if (count > 0 && now == count) {
    status = tp_handle_close(tensor, TP_KIND_DEVICE);
  }
  tp_handle_unpin(tensor);
  return status;
}
