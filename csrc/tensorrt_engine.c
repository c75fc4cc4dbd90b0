#include "tensorrt_engine.h"

#include <stdio.h>
#include <string.h>

#include "dtype.h"
#include "memory.h"
#include "model_info.h"
#include "status.h"
#include "tensorrt_logger.h"
#include "tensorrt_object.h"

/* Whether a value that was set comes back, both ways: it does only through the right slots. Code of the
 * plan's that runs on the host stays forbidden, as it is by default. */
static int32_t check_slots(const tp_trt *trt, void *runtime) {
  TRT(trt, runtime_allow_host_code, runtime, true);
  bool allowed = TRT0(trt, runtime_allows_host_code, runtime);
  TRT(trt, runtime_allow_host_code, runtime, false);
  bool forbidden = !TRT0(trt, runtime_allows_host_code, runtime);
  if (allowed && forbidden) return TP_OK;
  return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s (%s): its runtime does not answer as TensorRT's does",
                 trt->name, trt->path);
}

int32_t tp_trt_runtime_open(const tp_trt *trt, void **runtime) {
  tp_trt_listen();
  *runtime = tp_trt_object(trt->create_runtime(trt->logger, trt->version), TP_TRT_CLASS_RUNTIME,
                           TP_ERR_UNSUPPORTED, "cannot start TensorRT's runtime");
  return *runtime == NULL ? TP_ERR_UNSUPPORTED : check_slots(trt, *runtime);
}

int32_t tp_trt_engine_open(const tp_trt *trt, tp_cuda_device *device, const void *plan, size_t bytes,
                           tp_trt_engine *e) {
  *e = (tp_trt_engine){.trt = trt, .device = device};
  int32_t status = tp_trt_runtime_open(trt, &e->runtime);
  if (status == TP_OK) {
    e->engine = tp_trt_object(TRT(trt, runtime_deserialize, e->runtime, plan, bytes), TP_TRT_CLASS_ENGINE,
                              TP_ERR_PARSE, "TensorRT refused the engine");
    status = e->engine == NULL ? TP_ERR_PARSE : TP_OK;
  }
  if (status != TP_OK) tp_trt_engine_close(e);
  return status;
}

void tp_trt_engine_close(tp_trt_engine *e) {
  if (e->engine == NULL && e->runtime == NULL) return;
  (void)e->device->cuda->context_set(e->device->context);
  tp_trt_delete(e->engine);
  tp_trt_delete(e->runtime);
  e->engine = e->runtime = NULL;
}

static int32_t dtype_of(int32_t type) {
  switch (type) {
    case TRT_FLOAT: return TP_F32;
    case TRT_HALF: return TP_F16;
    case TRT_INT8: return TP_I8;
    case TRT_INT32: return TP_I32;
    case TRT_BOOL: return TP_BOOL;
    case TRT_UINT8: return TP_U8;
    case TRT_BF16: return TP_BF16;
    case TRT_INT64: return TP_I64;
    default: return 0;
  }
}

static int32_t read_tensor(const tp_trt_engine *e, const char *name, bool output, tp_tensor_spec *tensor) {
  const tp_trt *trt = e->trt;
  const char *what = output ? "output" : "input";
  tensor->name = tp_copy(name, strlen(name));
  if (tensor->name == NULL) return TP_ERR_MEMORY;
  int32_t type = TRT(trt, engine_type, e->engine, name);
  tensor->dtype = dtype_of(type);
  if (tensor->dtype == 0) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s \"%.200s\": its element type is TensorRT's number %d",
                   what, name, type);
  }
  if (TRT(trt, engine_location, e->engine, name) != TRT_LOCATION_DEVICE) {
    return tp_fail(
        TP_ERR_UNSUPPORTED,
        "cannot use %s \"%.200s\": its values decide shapes, and TensorRT wants them in host memory", what,
        name);
  }
  if (TRT(trt, engine_format, e->engine, name) != TRT_FORMAT_LINEAR) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s \"%.200s\": its elements are not in row-major order",
                   what, name);
  }
  tp_trt_dims shape = TRT(trt, engine_shape, e->engine, name);
  if (shape.rank < 0 || shape.rank > TP_MAX_RANK) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s \"%.200s\": it has %d dimensions", what, name,
                   shape.rank);
  }
  tensor->rank = shape.rank;
  memcpy(tensor->dims, shape.dims, sizeof tensor->dims);
  return TP_OK;
}

/* Names of all inputs, then of all outputs, in the engine's order; they are the engine's own. */
static int32_t read_names(const tp_trt_engine *e, const char *names[TP_MAX_TENSORS], tp_model_info *info) {
  int32_t count = TRT0(e->trt, engine_tensors, e->engine);
  if (count < 1 || count > TP_MAX_TENSORS) {
    return tp_fail(TP_ERR_UNSUPPORTED,
                   "cannot use a model of %d inputs and outputs: expected 2 to %d together", count,
                   TP_MAX_TENSORS);
  }
  uint32_t found = 0;
  for (int32_t mode = TRT_MODE_INPUT; mode <= TRT_MODE_OUTPUT; mode++) {
    for (int32_t i = 0; i < count; i++) {
      const char *name = TRT(e->trt, engine_tensor_name, e->engine, i);
      if (name == NULL) return tp_fail(TP_ERR_UNSUPPORTED, "cannot use the engine: tensor %d has no name", i);
      if (TRT(e->trt, engine_mode, e->engine, name) == mode) names[found++] = name;
    }
    if (mode == TRT_MODE_INPUT) info->inputs = found;
  }
  info->outputs = found - info->inputs;
  if (info->inputs > 0 && info->outputs > 0 && found == (uint32_t)count) return TP_OK;
  return tp_fail(TP_ERR_UNSUPPORTED,
                 "cannot use a model of %u inputs and %u outputs: expected 1 or more of each", info->inputs,
                 info->outputs);
}

int32_t tp_trt_engine_describe(const tp_trt_engine *e, tp_model_info *info) {
  char engine[320];
  snprintf(engine, sizeof engine, "%.47s (%.255s)", e->trt->name, e->device->name);
  info->engine = tp_copy(engine, strlen(engine));
  info->library = tp_copy(e->trt->path, strlen(e->trt->path));
  if (info->engine == NULL || info->library == NULL) return TP_ERR_MEMORY;
  const char *names[TP_MAX_TENSORS];
  int32_t status = read_names(e, names, info);
  for (uint32_t k = 0; status == TP_OK && k < info->inputs + info->outputs; k++)
    status = read_tensor(e, names[k], k >= info->inputs, &info->tensors[k]);
  return status == TP_OK ? tp_model_info_finish(info) : status;
}

tp_trt_dims tp_trt_engine_largest(const tp_trt_engine *e, const char *name) {
  tp_trt_dims shape = TRT(e->trt, engine_shape, e->engine, name);
  for (int32_t d = 0; d < shape.rank; d++) {
    if (shape.dims[d] < 0) return TRT(e->trt, engine_profile_shape, e->engine, name, 0, TRT_SELECT_MAX);
  }
  return shape;
}
