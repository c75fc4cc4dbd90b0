#include "outputs.h"

#include "model_info.h"
#include "pins.h"
#include "result.h"
#include "status.h"

/* Checks that an output of the backend's own can be split into rows, and tells its item shape. */
static int32_t split_output(tp_instance *x, uint32_t k) {
  const tp_tensor_spec *spec = &x->model->info.tensors[k];
  const tp_native_output *output = &x->run.native[k];
  const int64_t *dims = output->dims;
  int32_t rank = output->rank;
  int32_t status = tp_check_rows(&x->model->info, k, x->run.run_rows, rank, dims);
  if (status != TP_OK) return status;
  if (x->model->info.batching != TP_BATCHING_NONE) {
    dims++;
    rank--;
  }
  int32_t *told = tp_instance_block(x)->dims[k];
  for (int32_t d = 0; d < TP_MAX_RANK; d++) told[d] = -1;
  for (int32_t d = 0; d < rank; d++) {
    if (dims[d] < 0 || dims[d] > INT32_MAX) {
      return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": dimension %d is %lld", spec->name, d,
                     (long long)dims[d]);
    }
    told[d] = (int32_t)dims[d];
  }
  if (tp_item_bytes(spec->dtype, rank, dims, &x->run.item_bytes[k])) return TP_OK;
  return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": its items are too large", spec->name);
}

/* Releases the outputs of the backend's own, but those in the mask `kept`. */
static void release_outputs(tp_instance *x, uint32_t kept) {
  const tp_model_info *info = &x->model->info;
  for (uint32_t output = 0; output < info->outputs; output++) {
    uint32_t k = info->inputs + output;
    bool keep = output < 32 && (kept >> output & 1) != 0;
    if (x->run.data[k] != NULL || keep) continue;
    if (x->run.native[k].device != NULL) tp_device_block_release(x->run.native[k].device);
    else x->model->backend->release_output(x->run.native[k].owner);
  }
}

static int32_t keep_output(const tp_instance *x, uint32_t output, uint32_t *native) {
  uint32_t k = x->model->info.inputs + output;
  if (output < 32) {
    *native |= (uint32_t)1 << output;
    return TP_OK;
  }
  return tp_fail(
      TP_ERR_EXECUTION,
      "cannot give output \"%.200s\": its item has %llu bytes, its slot %llu, and only the first 32 outputs "
      "may stay in native memory",
      x->model->info.tensors[k].name, (unsigned long long)x->run.item_bytes[k],
      (unsigned long long)x->lanes[k].stride);
}

/* Brings the outputs into the slots, as far as they fit, and tells which stayed in native memory. */
static int32_t scatter_outputs(tp_instance *x, uint32_t *native) {
  const tp_model_info *info = &x->model->info;
  const tp_run *run = &x->run;
  for (uint32_t output = 0; output < info->outputs; output++) {
    uint32_t k = info->inputs + output;
    const uint8_t *from = run->data[k];
    if (from == NULL) {
      int32_t status = split_output(x, k);
      if (status != TP_OK) return status;
      if (run->native[k].device != NULL || run->item_bytes[k] > x->lanes[k].stride) {
        status = keep_output(x, output, native);
        if (status != TP_OK) return status;
        continue;
      }
      from = run->native[k].data;
    }
    if (run->pieces[k] > 0) {
      tp_pins_scatter(x, k);
    } else if (from != tp_place_data(&x->places[0], &x->lanes[k])) {
      tp_scatter(x->places, run->rows, &x->lanes[k], run->item_bytes[k], from);
    }
  }
  return TP_OK;
}

void tp_outputs_reclaim(tp_instance *x) {
  tp_row *records = x->given != 0 ? tp_instance_rows(x) : NULL;
  for (uint32_t row = 0; x->given != 0 && row < x->run.rows; row++) {
    if (records[row].result != x->given) continue;
    records[row].result = 0;
    (void)tp_result_release(x->given);
  }
  x->given = 0;
}

int32_t tp_outputs_finish(tp_instance *x, int32_t status) {
  tp_batch *batch = tp_instance_block(x);
  tp_row *records = tp_instance_rows(x);
  for (uint32_t row = 0; row < x->run.rows; row++) {
    records[row].status = status == TP_ERR_ROWS ? x->row_status[row] : TP_OK;
  }
  uint32_t native = 0, result = 0;
  int32_t split = scatter_outputs(x, &native);
  /* Rows that failed have nobody who would release their reference, so there is no result then. */
  if (split == TP_OK && status == TP_OK && native != 0)
    split = tp_result_open(x->model, &x->run, native, &result);
  release_outputs(x, result != 0 ? native : 0);
  for (uint32_t row = 0; row < x->run.rows; row++) records[row].result = result;
  x->given = (batch->flags & TP_BATCH_CLAIM) != 0 ? result : 0;
  if (result != 0) {
    batch->result = result;
    batch->native_outputs = native;
  }
  return split != TP_OK ? split : status;
}
