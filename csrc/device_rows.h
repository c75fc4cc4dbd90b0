/*
 * Inputs that are device memory already. Beside the tensors, each slot has a record for every input
 * (tp_device_ref): 0 where the row's bytes are in the slot, else a device tensor and the row in it. The
 * tensors are pinned while a batch runs.
 */
#ifndef TP_DEVICE_ROWS_H
#define TP_DEVICE_ROWS_H

#include "device_tensor.h"
#include "payload.h"

struct tp_instance;

/* One row of an input, for the backend. */
typedef struct tp_device_row {
  CUdeviceptr at;               /* 0: the row is on the host */
  const tp_cuda_device *device; /* where it is */
  const tp_device_block *block; /* the allocation that it lies in */
} tp_device_row;

typedef struct tp_device_rows {
  bool bound;
  tp_lane lane;              /* of the records */
  struct tp_cuda_device *on; /* where the instance runs; NULL: it takes no device memory */
  bool outputs;              /* stay on the device */
  tp_device_row *rows;       /* [inputs][max_rows] */
  uint32_t *pinned;          /* handles, inputs * max_rows at most */
  uint32_t pinned_count;
} tp_device_rows;

/* When an instance is made and freed. Errors: MEMORY. */
int32_t tp_device_rows_create(struct tp_instance *instance);
void tp_device_rows_destroy(struct tp_instance *instance);

/*
 * For input k of this batch, whose item size is known: pins what is on a device, checks it, and tells it in
 * run.device_rows. Errors: EXECUTION (a tensor that is gone or too small), so that a batch of several rows is
 * run again row by row.
 */
int32_t tp_device_rows_pin(struct tp_instance *instance, uint32_t k);
/* After the run, whatever became of it. */
void tp_device_rows_unpin(struct tp_instance *instance);

/* Copies the rows that are on the host from their slots to `to`. */
void tp_device_rows_gather(const struct tp_instance *instance, uint32_t k, uint8_t *to);

#endif
