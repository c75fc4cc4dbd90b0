#include "model_info.h"

#include <string.h>

#include "dtype.h"
#include "json.h"
#include "memory.h"
#include "status.h"

bool tp_item_bytes(int32_t dtype, int32_t rank, const int64_t *dims, uint64_t *bytes) {
  *bytes = tp_dtype_bytes(dtype);
  for (int32_t d = 0; d < rank; d++) {
    /* A later 0 would make the product 0, but an engine multiplies in its own order: refuse any overflow. */
    if (!tp_multiply(*bytes, (uint64_t)dims[d], bytes)) return false;
  }
  return true;
}

static bool has_open_rows(const tp_tensor_spec *tensor) { return tensor->rank >= 1 && tensor->dims[0] < 0; }

static tp_batching batching_of(const tp_model_info *info) {
  uint32_t count = info->inputs + info->outputs;
  uint32_t open_inputs = 0, open_outputs = 0;
  for (uint32_t k = 0; k < info->inputs; k++) open_inputs += has_open_rows(&info->tensors[k]);
  for (uint32_t k = info->inputs; k < count; k++) {
    open_outputs += has_open_rows(&info->tensors[k]) || info->tensors[k].rank < 0;
  }
  if (open_inputs == info->inputs)
    return open_outputs == info->outputs ? TP_BATCHING_DYNAMIC : TP_BATCHING_NONE;
  for (uint32_t k = 0; k < count; k++) {
    const tp_tensor_spec *tensor = &info->tensors[k];
    if (tensor->rank < 1 || tensor->dims[0] < 1 || tensor->dims[0] != info->tensors[0].dims[0])
      return TP_BATCHING_NONE;
    /* A vector of several numbers is one item far more often than several rows of one number each. */
    if (tensor->dims[0] > 1 && k < info->inputs && tensor->rank < 2) return TP_BATCHING_NONE;
  }
  return info->tensors[0].dims[0] <= UINT32_MAX ? TP_BATCHING_FIXED : TP_BATCHING_NONE;
}

static int32_t finish_tensor(tp_model_info *info, uint32_t k) {
  tp_tensor_spec *tensor = &info->tensors[k];
  if (info->batching != TP_BATCHING_NONE && tensor->rank > 0) {
    tensor->rank--;
    memmove(tensor->dims, tensor->dims + 1, (size_t)tensor->rank * sizeof tensor->dims[0]);
  }
  tensor->fixed = tensor->rank >= 0;
  for (int32_t d = 0; d < tensor->rank; d++) {
    if (tensor->dims[d] < 0) {
      tensor->dims[d] = -1;
      tensor->fixed = false;
    }
  }
  uint64_t all;
  if (tensor->fixed && (!tp_item_bytes(tensor->dtype, tensor->rank, tensor->dims, &tensor->item_bytes) ||
                        !tp_multiply(tensor->item_bytes, info->batch_size, &all) || all > INT64_MAX)) {
    return tp_fail(TP_ERR_UNSUPPORTED,
                   "cannot use %s \"%.200s\": its shape has more bytes than can be addressed",
                   k < info->inputs ? "input" : "output", tensor->name);
  }
  return TP_OK;
}

int32_t tp_model_info_finish(tp_model_info *info) {
  info->batching = batching_of(info);
  info->batch_size = info->batching == TP_BATCHING_FIXED ? (uint32_t)info->tensors[0].dims[0] : 1;
  int32_t status = TP_OK;
  for (uint32_t k = 0; status == TP_OK && k < info->inputs + info->outputs; k++)
    status = finish_tensor(info, k);
  return status;
}

int32_t tp_check_rows(const tp_model_info *info, uint32_t k, uint32_t run_rows, int32_t rank,
                      const int64_t *dims) {
  if (info->batching == TP_BATCHING_NONE || (rank > 0 && dims[0] == (int64_t)run_rows)) return TP_OK;
  const char *name = info->tensors[k].name;
  if (rank < 1) {
    return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": it is a scalar for a batch of %u", name,
                   run_rows);
  }
  return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": first dimension is %lld for a batch of %u",
                 name, (long long)dims[0], run_rows);
}

static void write_tensors(tp_json *json, const char *key, const tp_tensor_spec *tensors, uint32_t count) {
  tp_json_key(json, key);
  tp_json_open(json, '[');
  for (uint32_t k = 0; k < count; k++) {
    tp_json_open(json, '{');
    tp_json_key(json, "name");
    tp_json_text(json, tensors[k].name);
    tp_json_key(json, "dtype");
    tp_json_number(json, tensors[k].dtype);
    tp_json_key(json, "shape");
    if (tensors[k].rank < 0) {
      tp_json_null(json);
    } else {
      tp_json_open(json, '[');
      for (int32_t d = 0; d < tensors[k].rank; d++) tp_json_number(json, tensors[k].dims[d]);
      tp_json_close(json, ']');
    }
    tp_json_close(json, '}');
  }
  tp_json_close(json, ']');
}

char *tp_model_info_json(const tp_model_info *info, const char *backend, size_t *length) {
  static const char *const kinds[] = {"dynamic", "fixed", "none"};
  tp_json json = {0};
  tp_json_open(&json, '{');
  tp_json_key(&json, "backend");
  tp_json_text(&json, backend);
  tp_json_key(&json, "engine");
  tp_json_text(&json, info->engine);
  tp_json_key(&json, "library");
  tp_json_text(&json, info->library);
  if (info->note != NULL) {
    tp_json_key(&json, "note");
    tp_json_text(&json, info->note);
  }
  tp_json_key(&json, "batch");
  tp_json_text(&json, kinds[info->batching]);
  tp_json_key(&json, "batch_size");
  tp_json_number(&json, info->batch_size);
  write_tensors(&json, "inputs", info->tensors, info->inputs);
  write_tensors(&json, "outputs", info->tensors + info->inputs, info->outputs);
  tp_json_close(&json, '}');
  *length = json.length;
  if (!json.failed) return json.text;
  tp_free(json.text);
  return NULL;
}

void tp_model_info_free(tp_model_info *info) {
  tp_free(info->engine);
  tp_free(info->library);
  tp_free(info->note);
  for (uint32_t k = 0; k < TP_MAX_TENSORS; k++) tp_free(info->tensors[k].name);
}
