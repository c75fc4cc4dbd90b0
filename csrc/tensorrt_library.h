/* Finding and opening TensorRT and its ONNX parser: one of each for the process, for good. */
#ifndef TP_TENSORRT_LIBRARY_H
#define TP_TENSORRT_LIBRARY_H

#include "options.h"
#include "tensorrt_api.h"
#include "text.h"

/*
 * The process's TensorRT, opened on first use: the first "tensorrt" of the options that can be opened, or
 * without any what the loader finds. Nothing of it is called but its version, so this is safe without CUDA.
 * What is missing, or what was found, is added to the texts. Errors: UNSUPPORTED, without a text of its own.
 */
int32_t tp_trt_open(const tp_options *options, tp_text *missing, tp_text *found, const tp_trt **trt);

/* What the ONNX parser's library gives. */
typedef struct tp_trt_parser_library {
  void *(*create)(void *network, void *logger, int32_t version);
  int32_t version;
} tp_trt_parser_library;

/* Opens the parser: "tensorrt_parser" of the options, that beside `trt`, or the loader's. Errors: LIBRARY. */
int32_t tp_trt_parser_open(const tp_trt *trt, const tp_options *options, tp_trt_parser_library *parser);

#endif
