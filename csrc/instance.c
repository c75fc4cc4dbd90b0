/* Making, binding and destroying instances. Running them is run.c. */
#include "instance.h"

#include <string.h>

#include "handles.h"
#include "memory.h"
#include "outputs.h"
#include "pins.h"
#include "status.h"

/* Rows of one batch: what fits beside every other limit, and keeps products of small numbers small. */
#define MAX_ROWS 65536u

int32_t tp_instance_enter(uint32_t handle, tp_instance **instance) {
  tp_instance *x = tp_handle_pin(handle, TP_KIND_INSTANCE);
  if (x == NULL) return tp_handle_refused();
  if (atomic_exchange_explicit(&x->busy, 1, memory_order_acquire) != 0) {
    tp_handle_unpin(handle);
    return tp_fail(TP_ERR_BUSY, "cannot use instance 0x%08x: it is in use on another thread", handle);
  }
  *instance = x;
  return TP_OK;
}

void tp_instance_leave(uint32_t handle, tp_instance *instance) {
  atomic_store_explicit(&instance->busy, 0, memory_order_release);
  tp_handle_unpin(handle);
}

int32_t tp_instance_stage(tp_instance *instance, uint32_t k, uint64_t bytes) {
  if (instance->staging[k] != NULL && bytes <= instance->staging_bytes[k]) return TP_OK;
  if (bytes > SIZE_MAX / 2) {
    return tp_fail(TP_ERR_MEMORY, "cannot get %llu bytes of memory for a batch", (unsigned long long)bytes);
  }
  const tp_backend *backend = instance->model->backend;
  uint8_t *memory = NULL;
  int32_t status = TP_OK;
  if (backend->stage != NULL) {
    status = backend->stage(instance->state, k, bytes, &memory);
  } else {
    tp_free(instance->staging[k]);
    memory = tp_alloc_staging((size_t)bytes);
    if (memory == NULL) status = TP_ERR_MEMORY;
  }
  instance->staging[k] = memory;
  instance->staging_bytes[k] = memory != NULL ? bytes : 0;
  return status;
}

static void free_instance(tp_instance *x) {
  const tp_backend *backend = x->model->backend;
  tp_pins_drop_all(x);
  if (x->state != NULL) backend->destroy(x->state);
  for (uint32_t k = 0; backend->stage == NULL && k < TP_MAX_TENSORS; k++) tp_free(x->staging[k]);
  tp_device_rows_destroy(x);
  tp_free(x->pieces);
  tp_free(x->places);
  tp_free(x->row_status);
  tp_model_release(x->model);
  tp_free(x);
}

static void finalize(void *object) { free_instance(object); }

static int32_t check_rows(const tp_model_info *info, uint32_t max_rows, uint32_t min_rows) {
  if (max_rows < 1 || max_rows > MAX_ROWS) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot create an instance: expected max_rows from 1 to %u, got %u",
                   MAX_ROWS, max_rows);
  }
  if (min_rows < 1 || min_rows > max_rows) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot create an instance: expected min_rows from 1 to max_rows %u, got %u", max_rows,
                   min_rows);
  }
  if (info->batching == TP_BATCHING_NONE && max_rows > 1) {
    return tp_fail(
        TP_ERR_UNSUPPORTED,
        "cannot create an instance for %u rows: the model has no batch dimension and runs one row at a time",
        max_rows);
  }
  if (info->batching == TP_BATCHING_FIXED && max_rows > info->batch_size) {
    return tp_fail(TP_ERR_UNSUPPORTED,
                   "cannot create an instance for %u rows: the model's batch dimension is %u", max_rows,
                   info->batch_size);
  }
  return TP_OK;
}

/* Room to tell in which pieces a batch lies, where memory may be pinned. */
static int32_t prepare_pieces(tp_instance *x) {
  const tp_backend *backend = x->model->backend;
  if (backend->pin == NULL || backend->pin_limit(x->state) == 0) return TP_OK;
  uint32_t tensors = x->model->info.inputs + x->model->info.outputs;
  x->pieces = tp_alloc((size_t)tensors * x->max_rows * sizeof *x->pieces);
  if (x->pieces == NULL) return TP_ERR_MEMORY;
  for (uint32_t k = 0; k < tensors; k++) x->run.piece[k] = x->pieces + (size_t)k * x->max_rows;
  return TP_OK;
}

/* What never changes between runs of a fixed shape is written once. */
static int32_t prepare(tp_instance *x) {
  const tp_model_info *info = &x->model->info;
  x->capacity = info->batching == TP_BATCHING_FIXED ? info->batch_size : x->max_rows;
  x->places = tp_alloc(x->max_rows * sizeof *x->places);
  x->row_status = tp_alloc(x->max_rows * sizeof *x->row_status);
  if (x->places == NULL || x->row_status == NULL) return TP_ERR_MEMORY;
  x->run.row_status = x->row_status;
  int32_t status = x->model->backend->instance_create(x->model->state, info, x->capacity, &x->state);
  if (status == TP_OK) status = tp_device_rows_create(x);
  if (status == TP_OK) status = prepare_pieces(x);
  for (uint32_t k = 0; status == TP_OK && k < info->inputs + info->outputs; k++) {
    const tp_tensor_spec *spec = &info->tensors[k];
    x->run.rank[k] = spec->rank;
    memcpy(x->run.dims[k], spec->dims, sizeof spec->dims);
    if (!spec->fixed) continue;
    x->run.item_bytes[k] = spec->item_bytes;
    uint64_t bytes;
    if (!tp_multiply(spec->item_bytes, x->capacity, &bytes)) bytes = UINT64_MAX;
    status = tp_instance_stage(x, k, bytes);
  }
  return status;
}

static int32_t create(tp_model *model, uint32_t max_rows, uint32_t min_rows, uint32_t *instance_out) {
  int32_t status = check_rows(&model->info, max_rows, min_rows);
  if (status != TP_OK) return status;
  tp_instance *x = tp_alloc(sizeof *x);
  if (x == NULL) return TP_ERR_MEMORY;
  tp_model_retain(model);
  x->model = model;
  x->max_rows = max_rows;
  x->min_rows = min_rows;
  status = prepare(x);
  if (status == TP_OK) status = tp_handle_open(TP_KIND_INSTANCE, x, finalize, instance_out);
  if (status != TP_OK) free_instance(x);
  return status;
}

int32_t tp_instance_create(uint32_t model, uint32_t max_rows, uint32_t min_rows, uint32_t *instance_out) {
  if (instance_out == NULL)
    return tp_fail(TP_ERR_ARGUMENT, "cannot create an instance: instance_out is NULL");
  tp_model *m = tp_handle_pin(model, TP_KIND_MODEL);
  if (m == NULL) return tp_handle_refused();
  int32_t status = create(m, max_rows, min_rows, instance_out);
  tp_handle_unpin(model);
  return status;
}

static int32_t check_stride(const tp_model_info *info, uint32_t k, uint64_t stride) {
  const tp_tensor_spec *spec = &info->tensors[k];
  if (!spec->fixed || stride >= spec->item_bytes) return TP_OK;
  if (k < info->inputs) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot bind the layout: input \"%.200s\" has items of %llu bytes, its stride is %llu",
                   spec->name, (unsigned long long)spec->item_bytes, (unsigned long long)stride);
  }
  /* tp_batch.native_outputs has a bit for each of the first 32 outputs. */
  if (k - info->inputs < 32) return TP_OK;
  return tp_fail(
      TP_ERR_ARGUMENT,
      "cannot bind the layout: output \"%.200s\" has items of %llu bytes, its stride is %llu, and only the "
      "first 32 outputs may stay in native memory",
      spec->name, (unsigned long long)spec->item_bytes, (unsigned long long)stride);
}

static int32_t bind_layout(tp_instance *x, const uint64_t *offsets, const uint64_t *strides, uint32_t count) {
  const tp_model_info *info = &x->model->info;
  if (offsets == NULL || strides == NULL)
    return tp_fail(TP_ERR_ARGUMENT, "cannot bind the layout: it is NULL");
  if (count != info->inputs + info->outputs) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot bind the layout: expected %u tensors (%u inputs, %u outputs), got %u",
                   info->inputs + info->outputs, info->inputs, info->outputs, count);
  }
  tp_lane lanes[TP_MAX_TENSORS];
  for (uint32_t k = 0; k < count; k++) {
    memcpy(&lanes[k].offset, offsets + k, sizeof *offsets);
    memcpy(&lanes[k].stride, strides + k, sizeof *strides);
    int32_t status = check_stride(info, k, lanes[k].stride);
    if (status != TP_OK) return status;
  }
  memcpy(x->lanes, lanes, count * sizeof lanes[0]);
  tp_pins_drop_all(x);
  memset(x->channels, 0, sizeof x->channels);
  x->has_layout = true;
  x->device.bound = false;
  return TP_OK;
}

int32_t tp_instance_bind_layout(uint32_t instance, const uint64_t *offsets, const uint64_t *strides,
                                uint32_t count) {
  tp_instance *x = NULL;
  int32_t status = tp_instance_enter(instance, &x);
  if (status != TP_OK) return status;
  status = bind_layout(x, offsets, strides, count);
  tp_instance_leave(instance, x);
  return status;
}

/* Whether tensor k of all slots lies within the payload. */
static bool fits(const tp_lane *lane, uint32_t slots, uint64_t payload_bytes) {
  uint64_t bytes;
  return tp_multiply(lane->stride, slots, &bytes) && bytes <= payload_bytes &&
         lane->offset <= payload_bytes - bytes;
}

static int32_t bind_channel(tp_instance *x, uint32_t channel, uint8_t *payload, uint64_t bytes,
                            uint32_t slots) {
  if (channel >= TP_MAX_CHANNELS) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot bind channel %u: expected a number below %u", channel,
                   TP_MAX_CHANNELS);
  }
  if (payload == NULL) {
    tp_pins_drop(x, &x->channels[channel]);
    x->channels[channel] = (tp_channel){0};
    return TP_OK;
  }
  if (!x->has_layout) return tp_fail(TP_ERR_ARGUMENT, "cannot bind channel %u: no layout is bound", channel);
  if (slots < 1)
    return tp_fail(TP_ERR_ARGUMENT, "cannot bind channel %u: expected 1 slot or more, got 0", channel);
  const tp_model_info *info = &x->model->info;
  if (x->device.bound && !fits(&x->device.lane, slots, bytes)) {
    return tp_fail(
        TP_ERR_ARGUMENT,
        "cannot bind channel %u: %u slots of device rows (offset %llu, stride %llu) do not fit into "
        "%llu bytes",
        channel, slots, (unsigned long long)x->device.lane.offset, (unsigned long long)x->device.lane.stride,
        (unsigned long long)bytes);
  }
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    if (fits(&x->lanes[k], slots, bytes)) continue;
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot bind channel %u: %u slots of tensor \"%.200s\" (offset %llu, stride %llu) do not "
                   "fit into %llu "
                   "bytes",
                   channel, slots, info->tensors[k].name, (unsigned long long)x->lanes[k].offset,
                   (unsigned long long)x->lanes[k].stride, (unsigned long long)bytes);
  }
  tp_pins_drop(x, &x->channels[channel]);
  x->channels[channel] = (tp_channel){payload, bytes, slots, NULL};
  return TP_OK;
}

int32_t tp_instance_bind_channel(uint32_t instance, uint32_t channel, void *payload, uint64_t payload_bytes,
                                 uint32_t slots) {
  tp_instance *x = NULL;
  int32_t status = tp_instance_enter(instance, &x);
  if (status != TP_OK) return status;
  status = bind_channel(x, channel, payload, payload_bytes, slots);
  tp_instance_leave(instance, x);
  return status;
}

int32_t tp_instance_bind_batch(uint32_t instance, void *block, uint64_t block_bytes) {
  tp_instance *x = NULL;
  int32_t status = tp_instance_enter(instance, &x);
  if (status != TP_OK) return status;
  tp_outputs_reclaim(x);
  uint64_t needed = sizeof(tp_batch) + (uint64_t)x->max_rows * sizeof(tp_row);
  if (block == NULL || (uintptr_t)block % 8 != 0) {
    status = tp_fail(TP_ERR_ARGUMENT, "cannot bind the batch block: it is %s",
                     block ? "not 8-byte aligned" : "NULL");
  } else if (block_bytes < needed) {
    status =
        tp_fail(TP_ERR_ARGUMENT, "cannot bind the batch block: expected %llu bytes for %u rows, got %llu",
                (unsigned long long)needed, x->max_rows, (unsigned long long)block_bytes);
  } else {
    x->block = block;
  }
  tp_instance_leave(instance, x);
  return status;
}

int32_t tp_instance_destroy(uint32_t instance) {
  tp_instance *x = NULL;
  int32_t status = tp_instance_enter(instance, &x);
  if (status != TP_OK) return status;
  tp_outputs_reclaim(x);
  /* Now, and not with the last who still has the handle: callers' memory may be gone once this returns. */
  tp_pins_drop_all(x);
  /* `busy` stays taken: who still has the handle pinned is answered with BUSY until the last of them leaves.
   */
  status = tp_handle_close(instance, TP_KIND_INSTANCE);
  tp_handle_unpin(instance);
  return status;
}
