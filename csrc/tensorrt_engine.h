/* An engine on a device: what all instances of a model share. */
#ifndef TP_TENSORRT_ENGINE_H
#define TP_TENSORRT_ENGINE_H

#include "backend.h"
#include "cuda.h"
#include "tensorrt_api.h"

/* Constant after it was opened; TensorRT allows any number of threads to make contexts of it. */
typedef struct tp_trt_engine {
  const tp_trt *trt;
  tp_cuda_device *device;
  void *runtime, *engine;
} tp_trt_engine;

/* Starts TensorRT's runtime, which answers as TensorRT's does; tp_trt_delete ends it, also after an error.
 * Errors: UNSUPPORTED. The thread is in a device's context. */
int32_t tp_trt_runtime_open(const tp_trt *trt, void **runtime);

/* Opens a plan; its bytes are not needed afterwards. A plan is code: what is opened must be one's own.
 * Errors: PARSE, UNSUPPORTED, DEVICE. The thread is in the device's context. */
int32_t tp_trt_engine_open(const tp_trt *trt, tp_cuda_device *device, const void *plan, size_t bytes,
                           tp_trt_engine *engine);

/* Fills `info` with the engine's inputs and outputs. Errors: UNSUPPORTED, MEMORY. */
int32_t tp_trt_engine_describe(const tp_trt_engine *engine, tp_model_info *info);

/* The largest shape of input `name` that the engine was built for. */
tp_trt_dims tp_trt_engine_largest(const tp_trt_engine *engine, const char *name);

/* Frees an engine without contexts; also one that was not opened ({0}). */
void tp_trt_engine_close(tp_trt_engine *engine);

#endif
