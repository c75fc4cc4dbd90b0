/*
 * Building an engine in another process. TensorRT's builder takes gigabytes that it keeps until the process
 * ends, and parses files that may be anybody's; some versions end the process when CUDA does not start.
 */
#ifndef TP_TENSORRT_HOST_H
#define TP_TENSORRT_HOST_H

#include "builds.h"
#include "file.h"
#include "options.h"
#include "tensorrt_api.h"

/*
 * Builds the engine of a model, from its path or, if that is NULL, from its bytes, with the program
 * trtpipe-host: option "host", else the one beside this library. Blocks as long as it takes; the program ends
 * when this process does. `watched` is told how far it is, and may end it (NULL: nobody watches). `timing`
 * (NULL: not wanted) is what TensorRT measured in earlier builds, and becomes that with what this one did.
 * Errors: LIBRARY (no such program), what tp_trt_build answers, PARSE when the program died, INTERRUPTED,
 * MEMORY, OPEN.
 */
int32_t tp_trt_build_apart(const tp_trt *trt, const tp_options *options, const char *path,
                           const tp_bytes *model, tp_build *watched, tp_bytes *timing, tp_bytes *plan);

/* What the program says when it fails: this, the status, a space and the text, up to the end. */
#define TP_TRT_HOST_SAYS "\ntrtpipe-host: "

#endif
