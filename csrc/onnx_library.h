/* Finding and opening ONNX Runtime: one library and one environment for the process, for good. */
#ifndef TP_ONNX_LIBRARY_H
#define TP_ONNX_LIBRARY_H

#include "onnx_api.h"
#include "options.h"

/* The process's ONNX Runtime, opened on first use. Errors: LIBRARY (the text lists what was tried). Any
 * thread. */
int32_t tp_ort_open(const tp_options *options, const tp_ort **ort);

/* Sets the last error to ONNX Runtime's own text and frees it: TP_OK if `failed` is NULL, else `status`. */
int32_t tp_ort_check(const tp_ort *ort, OrtStatus *failed, int32_t status, const char *doing);

#endif
