#include "probe_engine.h"

#include <stdio.h>

#include "../cuda.h"
#include "../memory.h"
#include "../model_info.h"
#include "../tensorrt_cache.h"
#include "../tensorrt_engine.h"
#include "../tensorrt_library.h"
#include "../tensorrt_logger.h"
#include "../tensorrt_object.h"

static void add_shape(tp_json *json, const char *key, const tp_trt_dims *shape) {
  tp_json_key(json, key);
  if (shape->rank < 0 || shape->rank > TP_MAX_RANK) {
    tp_json_null(json);
    return;
  }
  tp_json_open(json, '[');
  for (int32_t d = 0; d < shape->rank; d++) tp_json_number(json, shape->dims[d]);
  tp_json_close(json, ']');
}

/* One input in one profile: the shapes between which it may vary, and the one that the engine is best at. */
static void add_range(const tp_trt_engine *e, const char *name, int32_t profile, tp_json *json) {
  tp_json_key(json, name);
  tp_json_open(json, '{');
  tp_trt_dims min = TRT(e->trt, engine_profile_shape, e->engine, name, profile, TRT_SELECT_MIN);
  tp_trt_dims best = TRT(e->trt, engine_profile_shape, e->engine, name, profile, TRT_SELECT_OPT);
  tp_trt_dims max = TRT(e->trt, engine_profile_shape, e->engine, name, profile, TRT_SELECT_MAX);
  add_shape(json, "min", &min);
  add_shape(json, "opt", &best);
  add_shape(json, "max", &max);
  tp_json_close(json, '}');
}

static void add_profiles(const tp_trt_engine *e, const tp_model_info *info, tp_json *json) {
  int32_t profiles = TRT0(e->trt, engine_profiles, e->engine);
  tp_json_key(json, "profiles");
  tp_json_open(json, '[');
  for (int32_t i = 0; i < profiles; i++) {
    tp_json_open(json, '{');
    for (uint32_t k = 0; k < info->inputs; k++) add_range(e, info->tensors[k].name, i, json);
    tp_json_close(json, '}');
  }
  tp_json_close(json, ']');
}

/* What the builder made of the model's layers, in TensorRT's own JSON. */
static void add_layers(const tp_trt_engine *e, tp_json *json) {
  tp_trt_listen();
  void *inspector = tp_trt_object(TRT0(e->trt, engine_inspector, e->engine), TP_TRT_CLASS_INSPECTOR,
                                  TP_ERR_UNSUPPORTED, "cannot look into the engine");
  const char *text =
      inspector == NULL ? NULL : TRT(e->trt, inspector_engine, inspector, TRT_INFORMATION_JSON);
  tp_json_key(json, "layers");
  if (text == NULL) tp_json_null(json);
  else tp_json_text(json, text);
  tp_trt_delete(inspector);
}

/* Full shapes, as the engine itself tells them. */
static void add_tensors(const tp_trt_engine *e, const tp_model_info *info, tp_json *json) {
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    if (k == 0 || k == info->inputs) {
      if (k > 0) tp_json_close(json, ']');
      tp_json_key(json, k == 0 ? "inputs" : "outputs");
      tp_json_open(json, '[');
    }
    tp_trt_dims shape = TRT(e->trt, engine_shape, e->engine, info->tensors[k].name);
    tp_json_open(json, '{');
    tp_json_key(json, "name");
    tp_json_text(json, info->tensors[k].name);
    tp_json_key(json, "dtype");
    tp_json_number(json, info->tensors[k].dtype);
    add_shape(json, "shape", &shape);
    tp_json_close(json, '}');
  }
  tp_json_close(json, ']');
}

static int32_t open_engine(const tp_options *options, tp_trt_engine *e) {
  const char *path = tp_options_get(options, "engine");
  tp_text missing = {0}, found = {0};
  const tp_cuda *cuda = NULL;
  tp_trt_entry entry = {0};
  uint32_t ordinal;
  if (path == NULL) return tp_fail(TP_ERR_ARGUMENT, "expected engine=PATH");
  int32_t status = tp_options_number(options, "device_id", 0, UINT32_MAX, 0, &ordinal);
  if (status != TP_OK) return status;
  int32_t no_cuda = tp_cuda_open(options, &missing, &found, &cuda);
  int32_t no_trt = tp_trt_open(options, &missing, &found, &e->trt);
  if (no_cuda != TP_OK || no_trt != TP_OK) return tp_fail(TP_ERR_UNSUPPORTED, "%s", missing.text);
  status = tp_cuda_device_open(cuda, ordinal, &e->device);
  if (status == TP_OK) status = tp_trt_engine_read(path, e->trt, e->device, &entry);
  if (status == TP_OK) status = tp_trt_engine_open(e->trt, e->device, entry.plan, entry.plan_bytes, e);
  tp_trt_entry_free(&entry);
  return status;
}

void tp_host_probe_engine(const tp_options *options, tp_json *json) {
  tp_trt_engine engine = {0};
  tp_model_info *info = tp_alloc(sizeof *info);
  int32_t status = info == NULL ? TP_ERR_MEMORY : open_engine(options, &engine);
  if (status == TP_OK) status = tp_trt_engine_describe(&engine, info);
  if (status == TP_OK) {
    tp_json_key(json, "engine");
    tp_json_text(json, info->engine);
    add_tensors(&engine, info, json);
    add_profiles(&engine, info, json);
    add_layers(&engine, json);
  } else {
    char text[4096];
    tp_last_error(text, sizeof text);
    tp_json_key(json, "missing");
    tp_json_text(json, text);
  }
  tp_trt_engine_close(&engine);
  if (info != NULL) tp_model_info_free(info);
  tp_free(info);
}
