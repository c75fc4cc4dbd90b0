/* Running one batch in ONNX Runtime, in memory of ours where sizes are known, in its own where not. */
#include <string.h>

#include "memory.h"
#include "model_info.h"
#include "onnx_instance.h"
#include "status.h"

/* An output in memory that is not the caller's. */
typedef struct owned_output {
  tp_onnx_session *session; /* whose allocator the value's memory came from */
  OrtValue *value;          /* NULL: the output is in `copy` */
  void *copy;
} owned_output;

/* The full shape of tensor k in this run; returns its rank. */
static size_t full_shape(const tp_onnx_instance *x, const tp_run *run, uint32_t k,
                         int64_t shape[TP_MAX_RANK]) {
  size_t before = x->info->batching == TP_BATCHING_NONE ? 0 : 1;
  size_t rank = (size_t)run->rank[k];
  shape[0] = run->run_rows;
  memcpy(shape + before, run->dims[k], rank * sizeof shape[0]);
  return before + rank;
}

/* The OrtValue of tensor k over run->data[k]: kept from an earlier run, or made now. */
static int32_t value_of(tp_onnx_instance *x, const tp_run *run, uint32_t k, OrtValue **value) {
  const tp_tensor_spec *spec = &x->info->tensors[k];
  tp_kept_value *kept = &x->kept[(size_t)k * (x->capacity + 1) + run->run_rows];
  if (kept->value != NULL && kept->data == run->data[k] && spec->fixed) {
    *value = kept->value;
    return TP_OK;
  }
  if (kept->value != NULL) x->ort->ReleaseValue(kept->value);
  *kept = (tp_kept_value){NULL, NULL};
  int64_t shape[TP_MAX_RANK];
  size_t rank = full_shape(x, run, k, shape);
  uint64_t bytes = run->item_bytes[k] * run->run_rows;
  OrtStatus *failed = x->ort->CreateTensorWithDataAsOrtValue(x->ort->cpu, run->data[k], bytes, shape, rank,
                                                             spec->dtype, value);
  if (failed != NULL) {
    return tp_ort_check(x->ort, failed, TP_ERR_EXECUTION, "cannot give the batch to ONNX Runtime");
  }
  *kept = (tp_kept_value){*value, run->data[k]};
  return TP_OK;
}

static int32_t read_shape(const tp_ort *ort, const OrtShapeInfo *shape, const tp_tensor_spec *spec,
                          tp_native_output *output) {
  static const char doing[] = "cannot read an output's shape";
  int dtype = 0;
  size_t rank = 0;
  int32_t status = tp_ort_check(ort, ort->GetTensorElementType(shape, &dtype), TP_ERR_EXECUTION, doing);
  if (status == TP_OK) {
    status = tp_ort_check(ort, ort->GetDimensionsCount(shape, &rank), TP_ERR_EXECUTION, doing);
  }
  if (status != TP_OK) return status;
  if (dtype != spec->dtype) {
    return tp_fail(TP_ERR_EXECUTION,
                   "cannot use output \"%.200s\": its element type is %d, the model says %d", spec->name,
                   dtype, spec->dtype);
  }
  if (rank > TP_MAX_RANK) {
    return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": it has %zu dimensions, more than %d",
                   spec->name, rank, TP_MAX_RANK);
  }
  output->rank = (int32_t)rank;
  return tp_ort_check(ort, ort->GetDimensions(shape, output->dims, rank), TP_ERR_EXECUTION, doing);
}

/* Shape and memory of a value that ONNX Runtime made. */
static int32_t read_value(const tp_onnx_instance *x, OrtValue *value, uint32_t k, tp_native_output *output) {
  const tp_ort *ort = x->ort;
  static const char doing[] = "cannot read an output";
  int is_tensor = 0;
  int32_t status = tp_ort_check(ort, ort->IsTensor(value, &is_tensor), TP_ERR_EXECUTION, doing);
  if (status == TP_OK && !is_tensor) {
    status = tp_fail(TP_ERR_EXECUTION, "cannot use output \"%.200s\": it is not a tensor", x->names[k]);
  }
  if (status != TP_OK) return status;
  OrtShapeInfo *shape = NULL;
  status = tp_ort_check(ort, ort->GetTensorTypeAndShape(value, &shape), TP_ERR_EXECUTION, doing);
  if (status != TP_OK) return status;
  status = read_shape(ort, shape, &x->info->tensors[k], output);
  ort->ReleaseTensorTypeAndShapeInfo(shape);
  if (status != TP_OK) return status;
  void *data = NULL;
  status = tp_ort_check(ort, ort->GetTensorMutableData(value, &data), TP_ERR_EXECUTION, doing);
  output->data = data;
  return status;
}

void tp_onnx_release_output(void *owner) {
  owned_output *output = owner;
  if (output->value != NULL) output->session->ort->ReleaseValue(output->value);
  tp_onnx_session_release(output->session);
  tp_free(output->copy);
  tp_free(output);
}

/* Moves the value into run->native[k], as what the caller releases. On failure the value stays as it was. */
static int32_t own_output(tp_onnx_instance *x, tp_native_output *output, uint32_t k, OrtValue *value) {
  owned_output *owner = tp_alloc(sizeof *owner);
  if (owner == NULL) return TP_ERR_MEMORY;
  owner->value = value;
  if (x->alias[k]) {
    /* The value's memory is our own input's, which the next batch writes over. */
    uint64_t bytes = 0;
    tp_item_bytes(x->info->tensors[k].dtype, output->rank, output->dims, &bytes);
    owner->copy = tp_alloc_staging((size_t)bytes);
    if (owner->copy == NULL) {
      tp_free(owner);
      return TP_ERR_MEMORY;
    }
    if (bytes > 0) memcpy(owner->copy, output->data, (size_t)bytes);
    x->ort->ReleaseValue(value);
    owner->value = NULL;
    output->data = owner->copy;
  }
  owner->session = x->session;
  tp_onnx_session_retain(x->session);
  output->owner = owner;
  return TP_OK;
}

/* Brings an output that ONNX Runtime placed to where it was wanted; its shape must be the expected one. */
static int32_t place_output(const tp_onnx_instance *x, const tp_run *run, uint32_t k,
                            tp_native_output *output) {
  int64_t shape[TP_MAX_RANK];
  size_t rank = full_shape(x, run, k, shape);
  int32_t status = tp_check_rows(x->info, k, run->run_rows, output->rank, output->dims);
  if (status != TP_OK) return status;
  if ((size_t)output->rank != rank || memcmp(shape, output->dims, rank * sizeof shape[0]) != 0) {
    return tp_fail(TP_ERR_SPLIT,
                   "cannot split output \"%.200s\": its shape is not the one that the model says",
                   x->names[k]);
  }
  uint64_t bytes = run->item_bytes[k] * run->run_rows;
  if (bytes > 0) memcpy(run->data[k], output->data, bytes);
  return TP_OK;
}

/* Takes over one value that ONNX Runtime made; it is released or owned afterwards. */
static int32_t take_output(tp_onnx_instance *x, tp_run *run, uint32_t k, OrtValue *value) {
  tp_native_output *output = &run->native[k];
  int32_t status = read_value(x, value, k, output);
  if (status == TP_OK && run->data[k] == NULL) {
    status = own_output(x, output, k, value);
    if (status == TP_OK) return TP_OK;
  } else if (status == TP_OK) {
    status = place_output(x, run, k, output);
  }
  x->ort->ReleaseValue(value);
  return status;
}

/* Takes over all values that ONNX Runtime made (`made`), and leaves no output behind on failure. */
static int32_t take_outputs(tp_onnx_instance *x, tp_run *run, OrtValue *const *values, const bool *made) {
  uint32_t first = x->info->inputs, end = first + x->info->outputs;
  int32_t status = TP_OK;
  for (uint32_t k = first; k < end; k++) {
    if (!made[k]) continue;
    if (status != TP_OK) {
      x->ort->ReleaseValue(values[k]);
      continue;
    }
    status = take_output(x, run, k, values[k]);
    if (status == TP_OK) continue;
    for (uint32_t done = first; done < k; done++) {
      if (run->data[done] == NULL) tp_onnx_release_output(run->native[done].owner);
    }
  }
  return status;
}

/* One run; `failed` is ONNX Runtime's answer. With `unplaced`, it gets no memory for any output. */
static int32_t run_session(tp_onnx_instance *x, tp_run *run, bool unplaced, OrtStatus **failed) {
  const tp_model_info *info = x->info;
  OrtValue *values[TP_MAX_TENSORS];
  bool made[TP_MAX_TENSORS];
  *failed = NULL;
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    values[k] = NULL;
    made[k] = k >= info->inputs && (run->data[k] == NULL || unplaced || x->unplaced[k]);
    int32_t status = made[k] ? TP_OK : value_of(x, run, k, &values[k]);
    if (status != TP_OK) return status;
  }
  *failed = x->ort->Run(x->session->session, x->options, x->names, (const OrtValue *const *)values,
                        info->inputs, x->names + info->inputs, info->outputs, values + info->inputs);
  return *failed == NULL ? take_outputs(x, run, values, made) : TP_OK;
}

int32_t tp_onnx_run(void *instance, tp_run *run) {
  tp_onnx_instance *x = instance;
  OrtStatus *failed = NULL;
  int32_t status = run_session(x, run, false, &failed);
  if (status != TP_OK || failed == NULL) return status;
  /* An output that is not as the model says does not fit the memory it was given. A second run, without that,
     tells what shape it has; for any other failure it costs what the failed batch cost. */
  if (strstr(x->ort->GetErrorMessage(failed), "shape") != NULL) {
    x->ort->ReleaseStatus(failed);
    status = run_session(x, run, true, &failed);
    if (status != TP_OK || failed == NULL) return status;
  }
  return tp_ort_check(x->ort, failed, TP_ERR_EXECUTION, "ONNX Runtime failed the batch");
}
