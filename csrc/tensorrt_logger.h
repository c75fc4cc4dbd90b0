/*
 * TensorRT's logger. TensorRT keeps the first logger that it is given for the whole process, and calls it
 * from threads of its own, so there is one, which is never freed. It keeps the last errors: TensorRT answers
 * a failed call with false or NULL, and says why only here.
 */
#ifndef TP_TENSORRT_LOGGER_H
#define TP_TENSORRT_LOGGER_H

#include "status.h"
#include "tensorrt_api.h"

/* The process's logger, laid out for that family. Called once, when the library is opened. */
void *tp_trt_logger(tp_trt_family family);

/* Forgets, for the calling thread, what was logged so far: call it before what may fail. */
void tp_trt_listen(void);

/*
 * Sets the last error to `doing` and the errors that were logged since tp_trt_listen, by this thread if it
 * logged any, else by any other, and returns `status`.
 */
int32_t tp_trt_fail(int32_t status, const char *doing);

#endif
