#include "result.h"

#include <string.h>

#include "device_tensor.h"
#include "handles.h"
#include "memory.h"
#include "status.h"

typedef struct kept_output {
  const uint8_t *data;     /* `rows` items, or more */
  tp_device_block *device; /* or there */
  uint64_t item_bytes;
  void *owner;
} kept_output;

typedef struct result {
  _Atomic uint32_t references;
  tp_model *model;
  uint32_t rows, outputs;
  uint32_t native; /* bit k: output k is here */
  kept_output kept[];
} result;

static bool holds(const result *r, uint32_t output) { return output < 32 && (r->native >> output & 1) != 0; }

static void finalize(void *object) {
  result *r = object;
  for (uint32_t k = 0; k < r->outputs; k++) {
    if (!holds(r, k)) continue;
    if (r->kept[k].device != NULL) tp_device_block_release(r->kept[k].device);
    else r->model->backend->release_output(r->kept[k].owner);
  }
  tp_model_release(r->model);
  tp_free(r);
}

int32_t tp_result_open(tp_model *model, const tp_run *run, uint32_t native, uint32_t *result_out) {
  uint32_t inputs = model->info.inputs, outputs = model->info.outputs;
  result *r = tp_alloc(sizeof *r + outputs * sizeof r->kept[0]);
  if (r == NULL) return TP_ERR_MEMORY;
  atomic_init(&r->references, run->rows);
  r->model = model;
  r->rows = run->rows;
  r->outputs = outputs;
  r->native = native;
  for (uint32_t k = 0; k < outputs; k++) {
    const tp_native_output *output = &run->native[inputs + k];
    if (!holds(r, k)) continue;
    r->kept[k] = (kept_output){output->data, output->device, run->item_bytes[inputs + k], output->owner};
  }
  tp_model_retain(model);
  int32_t status = tp_handle_open(TP_KIND_RESULT, r, finalize, result_out);
  if (status == TP_OK) return TP_OK;
  tp_model_release(model);
  tp_free(r);
  return status;
}

static int32_t copy_row(const result *r, uint32_t row, uint32_t output, void *to, uint64_t bytes) {
  if (row >= r->rows) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy row %u of a result: it has %u rows", row, r->rows);
  }
  if (output >= r->outputs || !holds(r, output)) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy output %u of a result: that output is in the slots", output);
  }
  const kept_output *kept = &r->kept[output];
  if (kept->device != NULL) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy output %u of a result: it is on a device (tp_result_device)",
                   output);
  }
  if (bytes != kept->item_bytes || (to == NULL && bytes > 0)) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot copy output %u of a result: expected a buffer of %llu bytes, got %llu", output,
                   (unsigned long long)kept->item_bytes, (unsigned long long)(to == NULL ? 0 : bytes));
  }
  if (bytes > 0) memcpy(to, kept->data + row * bytes, bytes);
  return TP_OK;
}

int32_t tp_result_copy(uint32_t handle, uint32_t row, uint32_t output, void *to, uint64_t bytes) {
  const result *r = tp_handle_pin(handle, TP_KIND_RESULT);
  if (r == NULL) return tp_handle_refused();
  int32_t status = copy_row(r, row, output, to, bytes);
  tp_handle_unpin(handle);
  return status;
}

static int32_t open_rows(const result *r, uint32_t row, uint32_t rows, uint32_t output, uint32_t *tensor) {
  if (rows < 1 || row >= r->rows || rows > r->rows - row) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot take %u rows of a result from row %u on: it has %u rows", rows,
                   row, r->rows);
  }
  if (output >= r->outputs || !holds(r, output) || r->kept[output].device == NULL) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot take output %u of a result: it is not on a device", output);
  }
  const kept_output *kept = &r->kept[output];
  return tp_device_tensor_open(kept->device, row * kept->item_bytes, rows * kept->item_bytes, tensor);
}

int32_t tp_result_device(uint32_t handle, uint32_t row, uint32_t rows, uint32_t output,
                         uint32_t *tensor_out) {
  if (tensor_out == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot take rows of a result: tensor_out is NULL");
  const result *r = tp_handle_pin(handle, TP_KIND_RESULT);
  if (r == NULL) return TP_ERR_HANDLE;
  int32_t status = open_rows(r, row, rows, output, tensor_out);
  tp_handle_unpin(handle);
  return status;
}

int32_t tp_result_release(uint32_t handle) {
  result *r = tp_handle_pin(handle, TP_KIND_RESULT);
  if (r == NULL) return tp_handle_refused();
  uint32_t left = atomic_load_explicit(&r->references, memory_order_relaxed);
  /* The thread that takes the last one closes the handle; a release too many meets a closed handle, or none
   * left. */
  while (left > 0 && !atomic_compare_exchange_weak(&r->references, &left, left - 1)) {}
  int32_t status = TP_OK;
  if (left == 1) status = tp_handle_close(handle, TP_KIND_RESULT);
  else if (left == 0) status = tp_fail(TP_ERR_HANDLE, "cannot release a result: all its rows were released");
  tp_handle_unpin(handle);
  return status;
}
