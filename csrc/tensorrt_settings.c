#include "tensorrt_settings.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"

static const char *const precisions[] = {"fp32", "tf32", "fp16", "bf16"};

const char *tp_trt_precision_name(tp_trt_precision precision) { return precisions[precision]; }

static int32_t read_precision(const tp_options *options, tp_trt_precision *precision) {
  const char *text = tp_options_get(options, "precision");
  *precision = TP_TRT_FP32;
  if (text == NULL) return TP_OK;
  for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++) {
    if (strcmp(text, precisions[i]) != 0) continue;
    *precision = (tp_trt_precision)i;
    return TP_OK;
  }
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot use option \"precision\": expected fp32, tf32, fp16 or bf16, got \"%.80s\"", text);
}

static const char *const compatibles[] = {"none", "ampere_plus", "same_compute_capability"};

const char *tp_trt_compatible_name(int32_t compatible) { return compatibles[compatible]; }

static int32_t read_compatible(const tp_options *options, int32_t *compatible) {
  const char *text = tp_options_get(options, "hardware_compatibility");
  *compatible = 0;
  if (text == NULL) return TP_OK;
  for (size_t i = 0; i < sizeof compatibles / sizeof compatibles[0]; i++) {
    if (strcmp(text, compatibles[i]) != 0) continue;
    *compatible = (int32_t)i;
    return TP_OK;
  }
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot use option \"hardware_compatibility\": expected none, ampere_plus or "
                 "same_compute_capability, got \"%.80s\"",
                 text);
}

static int32_t bad_limit(const char *key, const char *text) {
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot use option \"%s\": expected a number of rows, or full shapes such as "
                 "\"4x3x640x640,4x16\", got \"%.200s\"",
                 key, text);
}

/* A dimension, or a number of rows: 1 to INT32_MAX. Moves `at` past it. */
static bool read_dim(const char **at, int64_t *dim) {
  char *end;
  if (**at < '1' || **at > '9') return false;
  *dim = strtoll(*at, &end, 10);
  *at = end;
  return *dim <= INT32_MAX;
}

static int32_t read_limit(const tp_options *options, const char *key, tp_trt_limit *limit) {
  const char *text = tp_options_get(options, key), *at = text;
  *limit = (tp_trt_limit){.rows = 1};
  if (text == NULL) return TP_OK;
  if (strpbrk(text, "x,") == NULL) {
    return read_dim(&at, &limit->rows) && *at == '\0' ? TP_OK : bad_limit(key, text);
  }
  limit->rows = 0;
  for (;;) {
    if (limit->shapes == TP_MAX_TENSORS) return bad_limit(key, text);
    int32_t *rank = &limit->rank[limit->shapes];
    for (;; at++) {
      if (*rank == TP_MAX_RANK || !read_dim(&at, &limit->dims[limit->shapes][(*rank)++]))
        return bad_limit(key, text);
      if (*at != 'x') break;
    }
    limit->shapes++;
    if (*at == '\0') return TP_OK;
    if (*at++ != ',') return bad_limit(key, text);
  }
}

static int32_t read_output(const tp_options *options, bool *on_device) {
  const char *text = tp_options_get(options, "output");
  *on_device = text != NULL && strcmp(text, "device") == 0;
  if (text == NULL || *on_device || strcmp(text, "host") == 0) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"output\": expected host or device, got \"%.80s\"",
                 text);
}

int32_t tp_trt_settings_read(const tp_options *options, tp_trt_settings *s) {
  int32_t status = tp_options_number(options, "device_id", 0, 63, 0, &s->device_id);
  if (status == TP_OK) status = tp_options_number(options, "spin_us", 0, 10000, 100, &s->spin_us);
  if (status == TP_OK)
    status = tp_options_number(options, "pinned_bytes", 0, UINT32_MAX, 64u << 20, &s->pinned_bytes);
  if (status == TP_OK) status = read_precision(options, &s->precision);
  if (status == TP_OK)
    status = tp_options_number(options, "max_workspace_size", 1, 1 << 20, 1024, &s->workspace_mb);
  if (status == TP_OK) status = tp_options_number(options, "optimization_level", 0, 5, 3, &s->level);
  uint32_t graphs = 0;
  if (status == TP_OK) status = tp_options_number(options, "cuda_graph", 0, 1, 0, &graphs);
  s->graphs = graphs == 1;
  if (status == TP_OK) status = read_output(options, &s->device_outputs);
  if (status == TP_OK) status = read_compatible(options, &s->compatible);
  if (status == TP_OK) status = read_limit(options, "max", &s->max);
  if (status == TP_OK) status = read_limit(options, "min", &s->min);
  if (status != TP_OK) return status;
  const char *capability = tp_options_get(options, "compute_capability");
  s->this_device = capability != NULL && strcmp(capability, "current") == 0;
  if (capability == NULL || s->this_device || strcmp(capability, "any") == 0) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot use option \"compute_capability\": expected any or current, got \"%.80s\"",
                 capability);
}
