/*
 * What a backend is: one table of functions between the exports (model.c, instance.c, run.c) and an engine.
 * The exports have checked every argument, hold the instance's busy flag and keep the model alive; a backend
 * knows no handles, slots or channels. It sees tensors of a whole batch that lie in one piece.
 */
#ifndef TP_BACKEND_H
#define TP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "options.h"

/* What tp_model_describe tells as "batch". */
typedef enum tp_batching { TP_BATCHING_DYNAMIC, TP_BATCHING_FIXED, TP_BATCHING_NONE } tp_batching;

/* One input or output of a model. */
typedef struct tp_tensor_spec {
  char *name;
  int32_t dtype;
  int32_t rank;              /* of `dims`; -1: not known before the run */
  int64_t dims[TP_MAX_RANK]; /* item shape (the whole shape if batching is none); -1: open */
  bool fixed;                /* rank and all dimensions are known */
  uint64_t item_bytes;       /* of one item, if `fixed` */
} tp_tensor_spec;

/* What a model takes and gives; filled by `open`, constant afterwards. Texts are owned here
 * (tp_model_info_free). */
typedef struct tp_model_info {
  char *engine;  /* e.g. "ONNX Runtime 1.30.0" */
  char *library; /* path of the engine's library, "" if it is built in */
  char *note;    /* what a person should know of how it was loaded; NULL: nothing */
  tp_batching batching;
  uint32_t batch_size; /* rows of every run if `batching` is fixed, else 1 */
  uint32_t inputs, outputs;
  tp_tensor_spec tensors[TP_MAX_TENSORS]; /* inputs first, then outputs */
} tp_model_info;

/* An output in memory of the backend's own: on the host, or in a block of device memory. */
typedef struct tp_native_output {
  uint8_t *data;
  void *owner;                    /* what release_output is given; NULL: nothing to release */
  struct tp_device_block *device; /* one reference; NULL: it is on the host. It holds `run_rows` items */
  int32_t rank;                   /* of the full shape, 0..TP_MAX_RANK */
  int64_t dims[TP_MAX_RANK];
} tp_native_output;

/* Rows of a tensor that lie side by side. */
typedef struct tp_piece {
  uint8_t *data;
  uint32_t rows;
} tp_piece;

/*
 * One run, as the exports prepare it and the backend completes it. Lives in the instance. Index k counts
 * inputs first, then outputs. Shapes are item shapes; the full shape has `run_rows` before them unless
 * batching is none.
 */
typedef struct tp_run {
  uint32_t rows;     /* rows that callers asked for */
  uint32_t run_rows; /* rows that the engine sees: padded to min_rows, or to the model's batch size */
  /* Inputs: run_rows items in one piece. Outputs: where they go; NULL: the backend fills `native` instead. */
  uint8_t *data[TP_MAX_TENSORS];
  /* Not 0: the tensor's first `rows` rows are those of so many pieces, in this order, and not in `data`,
     which is not NULL all the same. What is padded is not there. Only for backends that can pin memory. */
  uint32_t pieces[TP_MAX_TENSORS];
  tp_piece *piece[TP_MAX_TENSORS];
  uint64_t item_bytes[TP_MAX_TENSORS]; /* of inputs, and of outputs that have `data` */
  int32_t rank[TP_MAX_TENSORS];        /* likewise */
  int64_t dims[TP_MAX_TENSORS][TP_MAX_RANK];
  tp_native_output native[TP_MAX_TENSORS]; /* out: for each output without `data` */
  /* Inputs: where each of the `rows` rows is on a device, NULL if none is. The others are in `data`. */
  const struct tp_device_row *device_rows[TP_MAX_TENSORS];
  int32_t *row_status; /* out: `rows` statuses, when the run returns TP_ERR_ROWS */
} tp_run;

typedef struct tp_backend {
  const char *name;
  const tp_option_key *keys; /* that `open` knows, `backend` included; NULL: `open` checks them itself */
  /* A tensor of fewer bytes than this is copied to staging memory even where it could be used in place. */
  uint64_t in_place_bytes;

  /* Loads a model. On failure nothing is left behind but what `info` owns. Any thread. */
  int32_t (*open)(const tp_options *options, const void *model, uint64_t model_bytes, tp_model_info *info,
                  void **state);
  /* Frees a model. All its instances are destroyed and all its outputs released. Any thread. */
  void (*close)(void *model);

  /* Makes an instance for runs of up to `capacity` rows (padding included). Instance thread. */
  int32_t (*instance_create)(void *model, const tp_model_info *info, uint32_t capacity, void **state);
  /* Memory for the staged tensor k of this instance, at least `bytes`, not zeroed: what the backend reads and
     writes best. It stays the backend's, until it is asked for k again or destroys the instance; what it gave
     for k before is gone, and `memory` is NULL, also after a failure. NULL here: the exports take memory of
     any kind themselves. Errors: MEMORY, DEVICE. Instance thread. */
  int32_t (*stage)(void *instance, uint32_t k, uint64_t bytes, uint8_t **memory);
  /* Bytes of each caller's memory that an instance may pin; 0: none. NULL, as the two that follow: the
     backend has no use for that. Instance thread. */
  uint64_t (*pin_limit)(const void *instance);
  /* Makes callers' memory, in whole pages, such that the device reads and writes it directly. `pin`: what
     unpin is given; NULL if the system refuses, which is no failure. Errors: MEMORY, DEVICE. Instance
     thread. */
  int32_t (*pin)(void *instance, void *memory, uint64_t bytes, void **pin);
  /* The memory is a caller's alone again when this returns. Any thread. */
  void (*unpin)(void *pin);
  /* Items of fewer bytes than this are no pieces: they go through staging memory. */
  uint64_t piece_bytes;
  /* Runs a batch; TP_OK, EXECUTION, ROWS, SPLIT, MEMORY, DEVICE, LOST or DEAD. After TP_OK and TP_ERR_ROWS
     every output without `data` is in `native`, and its owner is released by the caller; after any other
     status there is none. Instance thread. */
  int32_t (*run)(void *instance, tp_run *run);
  /* Frees an instance that does not run. Instance thread. */
  void (*destroy)(void *instance);
  /* The CUDA device that the instance runs on, whose inputs may be device memory, and whether outputs stay
     there, too (`device_outputs`). NULL: it takes and gives host memory alone. Any thread. */
  struct tp_cuda_device *(*device)(const void *instance, bool *device_outputs);
  /* Frees an output that `run` gave, by its owner; also after the instance is gone. Any thread. */
  void (*release_output)(void *owner);

  /* Asks the run in progress to end early: called only while one is, or is about to enter `run`. Any thread.
   */
  void (*interrupt)(void *instance);
  /* Takes the request back, after the run that was interrupted. Instance thread. */
  void (*resume)(void *instance);
} tp_backend;

/* The backend of that name, or NULL. */
const tp_backend *tp_backend_find(const char *name);
/* The index-th backend of this build, or NULL after the last. */
const tp_backend *tp_backend_at(size_t index);

extern const tp_backend tp_backend_identity;
extern const tp_backend tp_backend_onnx;
extern const tp_backend tp_backend_tensorrt;
extern const tp_backend tp_backend_process;
#ifdef TRTPIPE_FAULT
extern const tp_backend tp_backend_fault;
#endif

#endif
