/* An instance: a model's place to run on one thread, and the memory that its callers bound to it. */
#ifndef TP_INSTANCE_H
#define TP_INSTANCE_H

#include <stdatomic.h>

#include "device_rows.h"
#include "model.h"
#include "payload.h"

typedef struct tp_instance {
  tp_model *model; /* one reference */
  void *state;     /* the backend's */
  uint32_t max_rows, min_rows;
  uint32_t capacity; /* rows of the largest run, padding included: what staging memory is for */

  /* Held by the function that uses the instance; all below but `phase` belongs to its holder. */
  _Atomic uint32_t busy;
  /* Which run can be interrupted now, if any; see run.c. */
  _Atomic uint64_t phase;

  bool has_layout;
  tp_lane lanes[TP_MAX_TENSORS];
  tp_channel channels[TP_MAX_CHANNELS];
  uint8_t *block; /* tp_batch and its rows; NULL: not bound */

  tp_place *places;      /* max_rows: where the rows of this batch live */
  bool any_pinned;       /* of their slots */
  bool in_a_row;         /* they are consecutive slots of one channel */
  int32_t *row_status;   /* max_rows */
  tp_device_rows device; /* rows whose inputs are on a device */
  uint8_t *staging[TP_MAX_TENSORS];
  uint64_t staging_bytes[TP_MAX_TENSORS];
  tp_piece *pieces; /* max_rows for each tensor, which run.piece points to; NULL: nothing is ever pinned */
  tp_run run;
  uint32_t given; /* the result that the last run gave, for `run.rows` rows; 0: none */
} tp_instance;

static inline tp_batch *tp_instance_block(const tp_instance *instance) {
  return (tp_batch *)(void *)instance->block;
}

static inline tp_row *tp_instance_rows(const tp_instance *instance) {
  return (tp_row *)(void *)(instance->block + sizeof(tp_batch));
}

/* Pins an instance and takes its busy flag: TP_OK, HANDLE or BUSY. */
int32_t tp_instance_enter(uint32_t handle, tp_instance **instance);
void tp_instance_leave(uint32_t handle, tp_instance *instance);

/* Staging memory of at least `bytes` for tensor k, whose old contents are lost. Errors: MEMORY. */
int32_t tp_instance_stage(tp_instance *instance, uint32_t k, uint64_t bytes);

#endif
