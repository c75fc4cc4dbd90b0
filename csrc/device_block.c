#include "device_block.h"

#include "device_queue.h"
#include "memory.h"
#include "status.h"

/* Of each device. Nothing orders these numbers with anything else. */
static struct {
  _Atomic uint64_t bytes, blocks;
  _Atomic uint64_t limit; /* 0: none */
} used[TP_CUDA_DEVICES_MAX];

/* Counts memory before it is taken, so that two threads together cannot pass the limit. */
static int32_t charge(int ordinal, uint64_t bytes) {
  uint64_t limit = atomic_load_explicit(&used[ordinal].limit, memory_order_relaxed);
  uint64_t now = atomic_load_explicit(&used[ordinal].bytes, memory_order_relaxed);
  do {
    if (limit == 0 || (now <= limit && bytes <= limit - now)) continue;
    return tp_fail(
        TP_ERR_MEMORY,
        "cannot get %llu bytes for a tensor on CUDA device %d: its device tensors have %llu bytes, "
        "and their limit is %llu",
        (unsigned long long)bytes, ordinal, (unsigned long long)now, (unsigned long long)limit);
  } while (!atomic_compare_exchange_weak_explicit(&used[ordinal].bytes, &now, now + bytes,
                                                  memory_order_relaxed, memory_order_relaxed));
  return TP_OK;
}

static void discharge(int ordinal, uint64_t bytes) {
  atomic_fetch_sub_explicit(&used[ordinal].bytes, bytes, memory_order_relaxed);
}

static int32_t make(tp_cuda_device *device, uint64_t bytes, bool foreign, tp_device_block **block) {
  tp_device_block *made = tp_alloc(sizeof *made);
  if (made == NULL) return TP_ERR_MEMORY;
  made->device = device;
  made->bytes = bytes;
  made->foreign = foreign;
  atomic_init(&made->references, 1);
  *block = made;
  return TP_OK;
}

int32_t tp_device_block_allocate(const tp_cuda_queue *queue, uint64_t bytes, tp_device_block **block) {
  tp_cuda_device *device = queue->device;
  tp_device_block *made = NULL;
  if (bytes == 0) bytes = 1;
  if (bytes > SIZE_MAX / 2) {
    return tp_fail(TP_ERR_MEMORY, "cannot get %llu bytes of device memory", (unsigned long long)bytes);
  }
  int32_t status = charge(device->ordinal, bytes);
  if (status != TP_OK) return status;
  status = make(device, bytes, false, &made);
  if (status == TP_OK) {
    int error = device->cuda->memory_take(&made->at, (size_t)bytes, queue->stream);
    status = tp_cuda_check(device, error, TP_ERR_MEMORY, "cannot get device memory for a tensor");
  }
  if (status != TP_OK) {
    discharge(device->ordinal, bytes);
    tp_free(made);
    return status;
  }
  atomic_fetch_add_explicit(&used[device->ordinal].blocks, 1, memory_order_relaxed);
  *block = made;
  return TP_OK;
}

int32_t tp_device_block_wrap(tp_cuda_device *device, CUdeviceptr at, uint64_t bytes,
                             tp_device_block **block) {
  int32_t status = make(device, bytes, true, block);
  if (status != TP_OK) return status;
  (*block)->at = at;
  atomic_fetch_add_explicit(&used[device->ordinal].blocks, 1, memory_order_relaxed);
  return TP_OK;
}

void tp_device_block_retain(tp_device_block *block) {
  atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
}

void tp_device_block_release(tp_device_block *block) {
  if (block == NULL || atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1) return;
  int ordinal = block->device->ordinal;
  if (!block->foreign) {
    tp_device_queue_free(block->device, block->at);
    discharge(ordinal, block->bytes);
  }
  atomic_fetch_sub_explicit(&used[ordinal].blocks, 1, memory_order_relaxed);
  tp_free(block);
}

static int32_t check_ordinal(const char *doing, uint32_t device) {
  if (device < TP_CUDA_DEVICES_MAX) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT, "cannot %s of CUDA device %u: expected a number below %u", doing, device,
                 TP_CUDA_DEVICES_MAX);
}

int32_t tp_device_limit(uint32_t device, uint64_t bytes) {
  int32_t status = check_ordinal("limit the tensors", device);
  if (status == TP_OK) atomic_store_explicit(&used[device].limit, bytes, memory_order_relaxed);
  return status;
}

int32_t tp_device_usage(uint32_t device, uint64_t *usage) {
  int32_t status = check_ordinal("tell the use", device);
  if (status != TP_OK) return status;
  if (usage == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot tell the use of a device: usage is NULL");
  usage[0] = atomic_load_explicit(&used[device].blocks, memory_order_relaxed);
  usage[1] = atomic_load_explicit(&used[device].bytes, memory_order_relaxed);
  usage[2] = atomic_load_explicit(&used[device].limit, memory_order_relaxed);
  return TP_OK;
}
