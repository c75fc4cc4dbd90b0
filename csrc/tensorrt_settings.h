/* What a user may set for TensorrtTensor, read from the options. */
#ifndef TP_TENSORRT_SETTINGS_H
#define TP_TENSORRT_SETTINGS_H

#include "options.h"

typedef enum tp_trt_precision {
  TP_TRT_FP32, /* IEEE float32 */
  TP_TRT_TF32, /* as fp32, but multiplications may round to 10 bits of fraction */
  TP_TRT_FP16, /* layers may run in float16 */
  TP_TRT_BF16
} tp_trt_precision;

/* "4", or full shapes such as "4x3x640x640,4x16": one for each input. */
typedef struct tp_trt_limit {
  int64_t rows;    /* of a number alone, else 0 */
  uint32_t shapes; /* 0: a number alone */
  int32_t rank[TP_MAX_TENSORS];
  int64_t dims[TP_MAX_TENSORS][TP_MAX_RANK];
} tp_trt_limit;

typedef struct tp_trt_settings {
  uint32_t device_id;
  uint32_t spin_us;
  uint32_t pinned_bytes; /* of each caller's slots that are pinned */
  tp_trt_precision precision;
  uint32_t workspace_mb;
  uint32_t level; /* 0..5: how long TensorRT looks for faster kernels */
  bool device_outputs;
  bool graphs;        /* launch captured batches where that works */
  bool this_device;   /* RTX: an engine for the device it is built on, not for all kinds */
  int32_t compatible; /* TRT_COMPATIBLE_*, 0: with the device that it is built on */
  tp_trt_limit min, max;
} tp_trt_settings;

/* The keys, for tp_options_check. */
#define TP_TRT_KEYS                                                                                          \
  {"cuda", false}, {"tensorrt", true}, {"tensorrt_parser", false}, {"device_id", false}, {"spin_us", false}, \
      {"pinned_bytes", false}, {"precision", false}, {"max_workspace_size", false},                          \
      {"optimization_level", false}, {"compute_capability", false}, {"hardware_compatibility", false},       \
      {"cuda_graph", false}, {"output", false}, {"min", false}, {                                            \
    "max", false                                                                                             \
  }

/* Errors: ARGUMENT. */
int32_t tp_trt_settings_read(const tp_options *options, tp_trt_settings *settings);

/* The name of what the engine is compatible with, as the option has it. */
const char *tp_trt_compatible_name(int32_t compatible);

/* The precision's name, as the option has it. */
const char *tp_trt_precision_name(tp_trt_precision precision);

#endif
