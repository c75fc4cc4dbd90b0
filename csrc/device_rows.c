#include "device_rows.h"

#include <string.h>

#include "handles.h"
#include "instance.h"
#include "memory.h"
#include "pins.h"
#include "status.h"

int32_t tp_device_rows_create(tp_instance *x) {
  const tp_backend *backend = x->model->backend;
  if (backend->device == NULL) return TP_OK;
  size_t all = (size_t)x->model->info.inputs * x->max_rows;
  x->device.on = backend->device(x->state, &x->device.outputs);
  if (x->device.on == NULL) return TP_OK;
  x->device.rows = tp_alloc(all * sizeof *x->device.rows);
  x->device.pinned = tp_alloc(all * sizeof *x->device.pinned);
  return x->device.rows != NULL && x->device.pinned != NULL ? TP_OK : TP_ERR_MEMORY;
}

void tp_device_rows_destroy(tp_instance *x) {
  tp_free(x->device.rows);
  tp_free(x->device.pinned);
}

static int32_t bind(tp_instance *x, uint64_t offset, uint64_t stride) {
  uint64_t needed = (uint64_t)x->model->info.inputs * sizeof(tp_device_ref);
  if (!x->has_layout) return tp_fail(TP_ERR_ARGUMENT, "cannot bind device rows: no layout is bound");
  if (x->device.on == NULL) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot bind device rows: %s does not run on a CUDA device here",
                   x->model->backend->name);
  }
  if (stride < needed || stride % 4 != 0 || offset % 4 != 0) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot bind device rows: expected a stride of %llu bytes or more, and whole words, got "
                   "%llu from byte %llu on",
                   (unsigned long long)needed, (unsigned long long)stride, (unsigned long long)offset);
  }
  /* Channels are checked against all that lies in them, so they have to be bound once more. */
  tp_pins_drop_all(x);
  memset(x->channels, 0, sizeof x->channels);
  x->device.lane = (tp_lane){offset, stride};
  x->device.bound = true;
  return TP_OK;
}

int32_t tp_instance_bind_device_rows(uint32_t instance, uint64_t offset, uint64_t stride) {
  tp_instance *x = NULL;
  int32_t status = tp_instance_enter(instance, &x);
  if (status != TP_OK) return status;
  status = bind(x, offset, stride);
  tp_instance_leave(instance, x);
  return status;
}

/* Pins one row's tensor and tells where its item is. */
static int32_t pin(tp_instance *x, uint32_t k, uint32_t row, const tp_device_ref *ref) {
  const char *name = x->model->info.tensors[k].name;
  uint64_t item_bytes = x->run.item_bytes[k];
  const tp_device_tensor *t = tp_handle_pin(ref->tensor, TP_KIND_DEVICE);
  if (t == NULL) {
    return tp_fail(TP_ERR_EXECUTION,
                   "cannot read row %u of input \"%.200s\": its device tensor 0x%08x is gone", row, name,
                   ref->tensor);
  }
  x->device.pinned[x->device.pinned_count++] = ref->tensor;
  uint64_t offset;
  if (!tp_multiply(item_bytes, ref->row, &offset) || offset > t->bytes || item_bytes > t->bytes - offset) {
    return tp_fail(TP_ERR_EXECUTION,
                   "cannot read row %u of input \"%.200s\": its device tensor has %llu bytes, and items have "
                   "%llu",
                   ref->row, name, (unsigned long long)t->bytes, (unsigned long long)item_bytes);
  }
  x->device.rows[(size_t)k * x->max_rows + row] = (tp_device_row){t->at + offset, t->block->device, t->block};
  return TP_OK;
}

int32_t tp_device_rows_pin(tp_instance *x, uint32_t k) {
  x->run.device_rows[k] = NULL;
  if (!x->device.bound) return TP_OK;
  tp_device_row *rows = &x->device.rows[(size_t)k * x->max_rows];
  for (uint32_t row = 0; row < x->run.rows; row++) {
    tp_device_ref ref;
    memcpy(&ref, tp_place_data(&x->places[row], &x->device.lane) + k * sizeof ref, sizeof ref);
    rows[row] = (tp_device_row){0};
    if (ref.tensor == 0) continue;
    int32_t status = pin(x, k, row, &ref);
    if (status != TP_OK) return status;
    x->run.device_rows[k] = rows;
  }
  return TP_OK;
}

void tp_device_rows_unpin(tp_instance *x) {
  while (x->device.pinned_count > 0) tp_handle_unpin(x->device.pinned[--x->device.pinned_count]);
}

void tp_device_rows_gather(const tp_instance *x, uint32_t k, uint8_t *to) {
  const tp_device_row *rows = x->run.device_rows[k];
  uint64_t item_bytes = x->run.item_bytes[k];
  for (uint32_t row = 0, end; row < x->run.rows; row = end) {
    for (end = row + 1; end < x->run.rows && (rows[end].at != 0) == (rows[row].at != 0);) end++;
    if (rows[row].at == 0)
      tp_gather(x->places + row, end - row, &x->lanes[k], item_bytes, to + row * item_bytes);
  }
}
