/* Building an engine: from an ONNX model to a plan. */
#ifndef TP_TENSORRT_BUILD_H
#define TP_TENSORRT_BUILD_H

#include "tensorrt_library.h"
#include "tensorrt_settings.h"

/* A plan in TensorRT's memory. Start with {0}. */
typedef struct tp_trt_plan {
  void *memory; /* TensorRT's object */
  const void *data;
  size_t bytes;
} tp_trt_plan;

/* Whether a build can be asked for this precision, whatever types the model has. Errors: TYPES. */
int32_t tp_trt_check_precision(const tp_trt *trt, tp_trt_precision precision);

/* What a build may be given besides, and gives besides. Start with {0}. */
typedef struct tp_trt_timing {
  bool wanted;
  const void *known; /* what earlier builds measured; NULL: nothing */
  size_t known_bytes;
  tp_trt_plan made; /* that, and what this build measured */
} tp_trt_timing;

/*
 * Builds the engine of a model. The device that it is for is the thread's CUDA context; TensorRT for RTX
 * needs none. Takes seconds to minutes, and up to gigabytes of host memory that the process keeps.
 * Errors: TYPES, LIBRARY, PARSE (the text names every node that TensorRT refused), UNSUPPORTED, ARGUMENT,
 * MEMORY. The process's monitor (tensorrt_monitor.h) is told how far it is. One build at a time.
 */
int32_t tp_trt_build(const tp_trt *trt, const tp_trt_parser_library *parser, const tp_trt_settings *settings,
                     const void *model, size_t bytes, tp_trt_timing *timing, tp_trt_plan *plan);

void tp_trt_plan_free(tp_trt_plan *plan);

/* The least, the best and the largest shape of every input of a network, in a profile of the builder's. Used
 * by tp_trt_build. *profile is NULL if no input has an open dimension. */
int32_t tp_trt_profile(const tp_trt *trt, const tp_trt_settings *settings, void *builder, void *network,
                       void **profile);

#endif
