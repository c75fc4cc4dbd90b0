/* From `min` and `max` to the shapes that an engine is built for. */
#include <string.h>

#include "status.h"
#include "tensorrt_build.h"
#include "tensorrt_logger.h"
#include "tensorrt_object.h"

/* A network's input, as the profile needs it. */
typedef struct input {
  const char *name;
  tp_trt_dims shape; /* -1: open */
} input;

static int32_t read_input(const tp_trt *trt, void *network, int32_t index, input *to) {
  static const char doing[] = "cannot read the model's inputs";
  void *tensor = TRT(trt, network_input, network, index);
  if (tp_trt_object(tensor, TP_TRT_CLASS_TENSOR, TP_ERR_PARSE, doing) == NULL) return TP_ERR_PARSE;
  to->name = TRT0(trt, tensor_name, tensor);
  to->shape = TRT0(trt, tensor_shape, tensor);
  if (to->name == NULL) return tp_fail(TP_ERR_PARSE, "%s: input %d has no name", doing, index);
  if (to->shape.rank < 0 || to->shape.rank > TP_MAX_RANK) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use input \"%.200s\": it has %d dimensions", to->name,
                   to->shape.rank);
  }
  if (TRT0(trt, tensor_is_shape, tensor)) {
    return tp_fail(TP_ERR_UNSUPPORTED,
                   "cannot use input \"%.200s\": its values decide shapes, which TensorRT needs beforehand",
                   to->name);
  }
  return TP_OK;
}

/* The text of a shape: 4x3x224x224, with -1 for what is open. */
static const char *show(const tp_trt_dims *shape, tp_text *text) {
  for (int32_t d = 0; d < shape->rank; d++)
    tp_text_add(text, "%s%lld", d > 0 ? "x" : "", (long long)shape->dims[d]);
  return text->text;
}

/* Fills what is open in an input's shape from one limit. */
static int32_t limited(const input *from, const tp_trt_limit *limit, const char *key, uint32_t index,
                       tp_trt_dims *to) {
  *to = from->shape;
  tp_text text = {0};
  if (limit->shapes == 0) {
    if (to->rank > 0 && to->dims[0] < 0) to->dims[0] = limit->rows;
    for (int32_t d = 0; d < to->rank; d++) {
      if (to->dims[d] >= 0) continue;
      return tp_fail(TP_ERR_ARGUMENT,
                     "cannot use option \"%s\": expected full shapes such as \"4x3x640x640\", because input "
                     "\"%.200s\" has the shape %s, got %lld",
                     key, from->name, show(&from->shape, &text), (long long)limit->rows);
    }
    return TP_OK;
  }
  bool fits = limit->rank[index] == to->rank;
  for (int32_t d = 0; fits && d < to->rank; d++) {
    if (to->dims[d] < 0) to->dims[d] = limit->dims[index][d];
    fits = to->dims[d] == limit->dims[index][d];
  }
  if (fits) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot use option \"%s\": expected a shape that fits %s of input \"%.200s\"", key,
                 show(&from->shape, &text), from->name);
}

static int32_t set(const tp_trt *trt, void *profile, const input *from, int32_t select,
                   const tp_trt_dims *shape) {
  if (TRT(trt, profile_set_shape, profile, from->name, select, shape)) return TP_OK;
  tp_text doing = {0};
  tp_text_add(&doing, "TensorRT refused a shape of input \"%.200s\", ", from->name);
  return tp_trt_fail(TP_ERR_UNSUPPORTED, show(shape, &doing));
}

static int32_t add_input(const tp_trt *trt, const tp_trt_settings *settings, void *profile, const input *from,
                         uint32_t index) {
  tp_trt_dims min, max;
  int32_t status = limited(from, &settings->max, "max", index, &max);
  /* A number of rows says nothing of other dimensions: those start at 1. */
  const tp_trt_limit *low = &settings->min;
  if (status == TP_OK && low->shapes == 0) {
    min = from->shape;
    for (int32_t d = 0; d < min.rank; d++) {
      if (min.dims[d] < 0)
        min.dims[d] = d == 0 && low->rows < max.dims[0] ? low->rows : d == 0 ? max.dims[0] : 1;
    }
  } else if (status == TP_OK) {
    status = limited(from, low, "min", index, &min);
  }
  if (status == TP_OK) status = set(trt, profile, from, TRT_SELECT_MIN, &min);
  /* Full batches are what a busy pipe runs. */
  if (status == TP_OK) status = set(trt, profile, from, TRT_SELECT_OPT, &max);
  return status == TP_OK ? set(trt, profile, from, TRT_SELECT_MAX, &max) : status;
}

static int32_t check_count(const tp_trt_limit *limit, const char *key, int32_t inputs) {
  if (limit->shapes == 0 || (int32_t)limit->shapes == inputs) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"%s\": expected %d shapes, one for each input, got %u",
                 key, inputs, limit->shapes);
}

int32_t tp_trt_profile(const tp_trt *trt, const tp_trt_settings *settings, void *builder, void *network,
                       void **profile) {
  *profile = NULL;
  int32_t inputs = TRT0(trt, network_inputs, network);
  if (inputs < 1 || inputs > TP_MAX_TENSORS)
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use a model of %d inputs", inputs);
  bool open = false;
  int32_t status = check_count(&settings->max, "max", inputs);
  if (status == TP_OK) status = check_count(&settings->min, "min", inputs);
  for (int32_t i = 0; status == TP_OK && i < inputs; i++) {
    input from;
    status = read_input(trt, network, i, &from);
    for (int32_t d = 0; status == TP_OK && d < from.shape.rank; d++) open = open || from.shape.dims[d] < 0;
  }
  if (status != TP_OK || !open) return status;
  tp_trt_listen();
  static const char doing[] = "cannot make an optimization profile";
  void *made = tp_trt_object(TRT0(trt, builder_create_profile, builder), TP_TRT_CLASS_PROFILE,
                             TP_ERR_UNSUPPORTED, doing);
  if (made == NULL) return TP_ERR_UNSUPPORTED;
  for (int32_t i = 0; status == TP_OK && i < inputs; i++) {
    input from;
    status = read_input(trt, network, i, &from);
    if (status == TP_OK) status = add_input(trt, settings, made, &from, (uint32_t)i);
  }
  if (status != TP_OK) return status;
  if (!TRT0(trt, profile_is_valid, made)) return tp_trt_fail(TP_ERR_UNSUPPORTED, doing);
  *profile = made;
  return TP_OK;
}
