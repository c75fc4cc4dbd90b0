/*
 * One batch: check the block, gather, run the engine; outputs.c scatters. What the caller's memory says is
 * read once and checked before anything runs. On the path of fixed shapes there is no lock and no request for
 * memory.
 */
#include <sched.h>
#include <string.h>

#include "dtype.h"
#include "handles.h"
#include "instance.h"
#include "memory.h"
#include "model_info.h"
#include "outputs.h"
#include "pins.h"
#include "status.h"

/* tp_instance.phase, with the run's number above it. Only RUNNING can be left by another thread than the
 * instance's, and only for SIGNALLING. */
enum { PHASE_IDLE, PHASE_RUNNING, PHASE_SIGNALLING, PHASE_SIGNALLED };
#define PHASE(word) ((uint32_t)(word) & 3u)
#define RUN(word) ((uint32_t)((word) >> 32))

static uint64_t phase_word(uint32_t run, uint32_t phase) { return (uint64_t)run << 32 | phase; }

static int32_t read_rows(tp_instance *x, uint32_t rows) {
  if (!x->has_layout) return tp_fail(TP_ERR_ARGUMENT, "cannot run: no layout is bound");
  if (x->block == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot run: no batch block is bound");
  if (rows < 1 || rows > x->max_rows) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot run: expected 1 to %u rows, got %u", x->max_rows, rows);
  }
  const tp_row *records = tp_instance_rows(x);
  x->any_pinned = false;
  for (uint32_t row = 0; row < rows; row++) {
    uint32_t channel = records[row].channel, slot = records[row].slot;
    if (channel >= TP_MAX_CHANNELS || x->channels[channel].payload == NULL) {
      return tp_fail(TP_ERR_ARGUMENT, "cannot run: row %u names channel %u, which is not bound", row,
                     channel);
    }
    if (slot >= x->channels[channel].slots) {
      return tp_fail(TP_ERR_ARGUMENT, "cannot run: row %u names slot %u of channel %u, which has %u slots",
                     row, slot, channel, x->channels[channel].slots);
    }
    tp_channel *from = &x->channels[channel];
    if (x->pieces != NULL && from->pins == NULL) {
      int32_t status = tp_pins_take(x, from);
      if (status != TP_OK) return status;
    }
    x->places[row] = (tp_place){from->payload, slot, tp_pins_has(from, slot)};
    x->any_pinned = x->any_pinned || x->places[row].pinned;
  }
  x->in_a_row = tp_places_in_a_row(x->places, 0, rows) == rows;
  const tp_model_info *info = &x->model->info;
  x->run.rows = rows;
  x->run.run_rows = info->batching == TP_BATCHING_FIXED ? info->batch_size
                    : rows > x->min_rows                ? rows
                                                        : x->min_rows;
  return TP_OK;
}

/* The item shape of an input with open dimensions, for this batch. */
static int32_t read_dims(tp_instance *x, uint32_t k) {
  const tp_tensor_spec *spec = &x->model->info.tensors[k];
  const tp_batch *batch = tp_instance_block(x);
  if ((batch->flags & TP_BATCH_DIMS) == 0) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot run: input \"%.200s\" has open dimensions, and the batch gives no shapes",
                   spec->name);
  }
  for (int32_t d = 0; d < spec->rank; d++) {
    int64_t dim = batch->dims[k][d];
    if (dim < 0 || (spec->dims[d] >= 0 && dim != spec->dims[d])) {
      return tp_fail(TP_ERR_ARGUMENT, "cannot run: dimension %d of input \"%.200s\" cannot be %lld", d,
                     spec->name, (long long)dim);
    }
    x->run.dims[k][d] = dim;
  }
  if (!tp_item_bytes(spec->dtype, spec->rank, x->run.dims[k], &x->run.item_bytes[k]) ||
      x->run.item_bytes[k] > x->lanes[k].stride) {
    return tp_fail(
        TP_ERR_ARGUMENT,
        "cannot run: the batch's shape of input \"%.200s\" needs more than its stride of %llu bytes",
        spec->name, (unsigned long long)x->lanes[k].stride);
  }
  return TP_OK;
}

/* Where the whole batch of tensor k lies in the slots in one piece; NULL if it does not, or is too small to
 * be worth it. */
static uint8_t *in_place(const tp_instance *x, uint32_t k) {
  const tp_run *run = &x->run;
  if (!x->in_a_row || run->run_rows != run->rows) return NULL;
  if (run->rows > 1 && x->lanes[k].stride != run->item_bytes[k]) return NULL;
  uint64_t bytes = run->item_bytes[k] * run->rows;
  if (bytes == 0 || bytes < x->model->backend->in_place_bytes) return NULL;
  uint8_t *data = tp_place_data(&x->places[0], &x->lanes[k]);
  return (uintptr_t)data % tp_dtype_bytes(x->model->info.tensors[k].dtype) == 0 ? data : NULL;
}

static int32_t place_input(tp_instance *x, uint32_t k) {
  tp_run *run = &x->run;
  if (!x->model->info.tensors[k].fixed) {
    int32_t status = read_dims(x, k);
    if (status != TP_OK) return status;
  }
  int32_t status = tp_device_rows_pin(x, k);
  if (status != TP_OK) return status;
  run->data[k] = run->device_rows[k] == NULL ? in_place(x, k) : NULL;
  run->pieces[k] = 0;
  if (run->data[k] != NULL) return TP_OK;
  uint64_t item_bytes = run->item_bytes[k], all;
  if (!tp_multiply(item_bytes, run->run_rows, &all)) all = UINT64_MAX;
  status = tp_instance_stage(x, k, all);
  if (status != TP_OK) return status;
  run->data[k] = x->staging[k];
  /* Where some rows are on the device, the others go through staging memory, pinned or not. */
  if (run->device_rows[k] == NULL) tp_pins_place(x, k);
  if (run->pieces[k] > 0) {
    tp_pins_gather(x, k);
    return TP_OK;
  }
  if (run->device_rows[k] != NULL) tp_device_rows_gather(x, k, run->data[k]);
  else tp_gather(x->places, run->rows, &x->lanes[k], item_bytes, run->data[k]);
  if (all > item_bytes * run->rows)
    memset(run->data[k] + item_bytes * run->rows, 0, all - item_bytes * run->rows);
  return TP_OK;
}

/* An output whose size is open, or that does not fit into its slot, is left to the backend. */
static void place_output(tp_instance *x, uint32_t k) {
  const tp_tensor_spec *spec = &x->model->info.tensors[k];
  x->run.data[k] = NULL;
  x->run.pieces[k] = 0;
  if (!spec->fixed || spec->item_bytes > x->lanes[k].stride || x->device.outputs) return;
  x->run.data[k] = in_place(x, k);
  if (x->run.data[k] != NULL) return;
  x->run.data[k] = x->staging[k];
  tp_pins_place(x, k);
}

/* Runs the engine. An interrupt reaches exactly the run during which it was asked for. */
static int32_t run_engine(tp_instance *x, uint32_t run) {
  const tp_backend *backend = x->model->backend;
  uint64_t phase = phase_word(run, PHASE_RUNNING);
  atomic_store_explicit(&x->phase, phase, memory_order_release);
  int32_t status = backend->run(x->state, &x->run);
  if (atomic_compare_exchange_strong_explicit(&x->phase, &phase, PHASE_IDLE, memory_order_acq_rel,
                                              memory_order_acquire)) {
    return status;
  }
  while (PHASE(atomic_load_explicit(&x->phase, memory_order_acquire)) != PHASE_SIGNALLED) sched_yield();
  backend->resume(x->state);
  atomic_store_explicit(&x->phase, PHASE_IDLE, memory_order_release);
  return status == TP_ERR_EXECUTION ? tp_fail(TP_ERR_INTERRUPTED, "the run was interrupted") : status;
}

/* Interrupts the run that goes on if it is `run`, or, with `any`, whichever it is. */
static int32_t interrupt(uint32_t instance, bool any, uint32_t run) {
  tp_instance *x = tp_handle_pin(instance, TP_KIND_INSTANCE);
  if (x == NULL) return tp_handle_refused();
  uint64_t phase = atomic_load_explicit(&x->phase, memory_order_relaxed);
  while (PHASE(phase) == PHASE_RUNNING && (any || RUN(phase) == run)) {
    if (!atomic_compare_exchange_weak_explicit(&x->phase, &phase, phase_word(RUN(phase), PHASE_SIGNALLING),
                                               memory_order_acq_rel, memory_order_relaxed)) {
      continue;
    }
    x->model->backend->interrupt(x->state);
    atomic_store_explicit(&x->phase, PHASE_SIGNALLED, memory_order_release);
    break;
  }
  tp_handle_unpin(instance);
  return TP_OK;
}

int32_t tp_instance_interrupt(uint32_t instance) { return interrupt(instance, true, 0); }

int32_t tp_instance_interrupt_run(uint32_t instance, uint32_t run) { return interrupt(instance, false, run); }

static int32_t run(tp_instance *x, uint32_t rows) {
  uint32_t number = 0;
  tp_outputs_reclaim(x);
  if (x->block != NULL) {
    number = tp_instance_block(x)->run;
    tp_instance_block(x)->result = 0;
    tp_instance_block(x)->native_outputs = 0;
  }
  int32_t status = read_rows(x, rows);
  const tp_model_info *info = &x->model->info;
  for (uint32_t k = 0; status == TP_OK && k < info->inputs; k++) status = place_input(x, k);
  for (uint32_t k = info->inputs; status == TP_OK && k < info->inputs + info->outputs; k++)
    place_output(x, k);
  if (status == TP_OK) status = run_engine(x, number);
  tp_device_rows_unpin(x);
  return status == TP_OK || status == TP_ERR_ROWS ? tp_outputs_finish(x, status) : status;
}

int32_t tp_instance_run(uint32_t instance, uint32_t rows) {
  tp_instance *x = NULL;
  int32_t status = tp_instance_enter(instance, &x);
  if (status != TP_OK) return status;
  status = run(x, rows);
  tp_instance_leave(instance, x);
  return status;
}
