/* What Identity and Fault share: one input, one output, and the copying from one to the other. */
#ifndef TP_ECHO_H
#define TP_ECHO_H

#include "backend.h"

/* The options of tp_model_open that describe the tensors. */
#define TP_ECHO_KEYS \
  {"dtype", false}, {"shape", false}, {"output_dtype", false}, { "output_shape", false }

/* Fills `info` from the options; `engine` is what tp_model_describe tells. Errors: ARGUMENT, UNSUPPORTED,
 * MEMORY. */
int32_t tp_echo_open(const tp_options *options, const char *engine, tp_model_info *info);

/* Bytes of one item of the output in this run. */
uint64_t tp_echo_output_bytes(const tp_model_info *info, const tp_run *run);

/* Where the output of this run goes: the place it was given, or memory of our own. Errors: MEMORY. */
int32_t tp_echo_place(const tp_model_info *info, tp_run *run, uint8_t **to);

/* Writes `rows` items: the first bytes of the input's item, then zeros. */
void tp_echo_rows(const tp_model_info *info, const tp_run *run, uint32_t first, uint32_t rows, uint8_t *to);

/* tp_backend.release_output for what tp_echo_place took. */
void tp_echo_release(void *owner);

#endif
