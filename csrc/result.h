/* Outputs that did not fit into their slots: kept until the owner of each row has copied its own out. */
#ifndef TP_RESULT_H
#define TP_RESULT_H

#include "model.h"

/*
 * Makes a result of the outputs in the mask `native` (bit k: output k), with one reference per row. It takes
 * over their owners from `run`; on failure they stay with the caller. The model stays alive for as long as
 * the result.
 */
int32_t tp_result_open(tp_model *model, const tp_run *run, uint32_t native, uint32_t *result_out);

#endif
