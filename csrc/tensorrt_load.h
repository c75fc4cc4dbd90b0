/* From a model's file or bytes to an engine on the device: built, taken from the cache, or read as it is. */
#ifndef TP_TENSORRT_LOAD_H
#define TP_TENSORRT_LOAD_H

#include "file.h"
#include "tensorrt_engine.h"
#include "tensorrt_settings.h"

/*
 * Loads `engine`, whose `trt` and `device` are set. `path` or `bytes` is the model. What a person should know
 * is added to `note`. Errors: those of tp_trt_build_apart, tp_trt_engine_open and tp_trt_engine_read.
 */
int32_t tp_trt_load(const tp_options *options, const tp_trt_settings *settings, const char *path,
                    const tp_bytes *bytes, tp_trt_engine *engine, tp_text *note);

#endif
