/* Working out what a model's shapes mean for batching, and telling it as JSON. */
#ifndef TP_MODEL_INFO_H
#define TP_MODEL_INFO_H

#include "backend.h"

/* Bytes of one item of the given shape; false if that overflows. All dimensions are >= 0. */
bool tp_item_bytes(int32_t dtype, int32_t rank, const int64_t *dims, uint64_t *bytes);

/*
 * Takes `info` whose tensors have full shapes, finds how its rows are batched, and leaves item shapes.
 * Errors: UNSUPPORTED (a size that overflows). What the kinds mean is told at tp_model_describe in the
 * header.
 */
int32_t tp_model_info_finish(tp_model_info *info);

/*
 * Whether tensor k, an output of this full shape, has one item for each of `run_rows` rows: TP_OK or
 * TP_ERR_SPLIT. Without a batch dimension everything does.
 */
int32_t tp_check_rows(const tp_model_info *info, uint32_t k, uint32_t run_rows, int32_t rank,
                      const int64_t *dims);

/* The JSON of tp_model_describe; NULL when memory ran out. The caller frees it. */
char *tp_model_info_json(const tp_model_info *info, const char *backend, size_t *length);

void tp_model_info_free(tp_model_info *info);

#endif
