/* Batches whose inputs are on a device already, and whose outputs stay there. */
#include "device_block.h"
#include "device_rows.h"
#include "memory.h"
#include "status.h"
#include "tensorrt_instance.h"

struct tp_cuda_device *tp_trt_device(const void *instance, bool *device_outputs) {
  const tp_trt_instance *x = instance;
  *device_outputs = x->device_outputs;
  return x->engine->device;
}

/* Rows from `row` on that one copy can move: all on the host, or side by side in one allocation. Neighbours
 * of a pool are often side by side too, and the driver refuses to copy across two of them. What is behind the
 * batch's own rows is padding on the host. */
static uint32_t rows_at_once(const tp_device_row *rows, const tp_run *run, uint32_t row,
                             uint64_t item_bytes) {
  tp_device_row first = row < run->rows ? rows[row] : (tp_device_row){0};
  uint32_t end = row + 1;
  for (; end < run->run_rows; end++) {
    tp_device_row next = end < run->rows ? rows[end] : (tp_device_row){0};
    bool follows = first.at == 0
                       ? next.at == 0
                       : next.at == first.at + (end - row) * item_bytes && next.block == first.block;
    if (!follows) break;
  }
  return end - row;
}

int32_t tp_trt_send_rows(const tp_trt_instance *x, const tp_run *run, uint32_t k) {
  static const char doing[] = "cannot copy an input within the device";
  tp_cuda_device *device = x->queue.device;
  const tp_cuda *cuda = device->cuda;
  const tp_device_row *rows = run->device_rows[k];
  uint64_t item_bytes = run->item_bytes[k];
  int32_t status = TP_OK;
  for (uint32_t row = 0, count; status == TP_OK && item_bytes > 0 && row < run->run_rows; row += count) {
    count = rows_at_once(rows, run, row, item_bytes);
    CUdeviceptr to = x->tensors[k].memory.at + row * item_bytes;
    size_t bytes = (size_t)(count * item_bytes);
    bool on_host = row >= run->rows || rows[row].at == 0;
    int error;
    if (on_host) error = cuda->to_device(to, run->data[k] + row * item_bytes, bytes, x->queue.stream);
    else if (rows[row].device == device) error = cuda->on_device(to, rows[row].at, bytes, x->queue.stream);
    else
      error =
          cuda->to_peer(to, device->context, rows[row].at, rows[row].device->context, bytes, x->queue.stream);
    status = tp_cuda_check(device, error, TP_ERR_EXECUTION, doing);
  }
  return status;
}

int32_t tp_trt_keep_output(const tp_trt_instance *x, tp_run *run, uint32_t k, uint64_t bytes) {
  tp_native_output *output = &run->native[k];
  int32_t status = tp_device_block_allocate(&x->queue, bytes, &output->device);
  if (status != TP_OK || bytes == 0) return status;
  const tp_cuda *cuda = x->queue.device->cuda;
  int error = cuda->on_device(output->device->at, x->tensors[k].memory.at, (size_t)bytes, x->queue.stream);
  return tp_cuda_check(x->queue.device, error, TP_ERR_EXECUTION, "cannot keep an output on the device");
}

void tp_trt_drop_outputs(const tp_trt_instance *x, tp_run *run) {
  for (uint32_t k = x->info->inputs; k < x->info->inputs + x->info->outputs; k++) {
    tp_free(run->native[k].owner);
    tp_device_block_release(run->native[k].device);
    run->native[k] = (tp_native_output){0};
  }
}
