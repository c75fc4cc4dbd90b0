/* The second half of a run: outputs into the slots, or into a result where they do not fit. */
#ifndef TP_OUTPUTS_H
#define TP_OUTPUTS_H

#include "instance.h"

/* After the engine's run, which returned `status` (TP_OK or TP_ERR_ROWS): the status of the whole. */
int32_t tp_outputs_finish(tp_instance *instance, int32_t status);

/* Releases what the last run gave and nobody took over: see TP_BATCH_CLAIM. */
void tp_outputs_reclaim(tp_instance *instance);

#endif
