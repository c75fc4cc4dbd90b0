#include "pins.h"

#include <unistd.h>

#include "memory.h"

typedef struct range {
  uintptr_t start, end;
} range;

/* Copying a few bytes costs less than asking a device to. Outputs without a known size have no place. */
static bool is_worth(const tp_instance *x, uint32_t k) {
  const tp_model_info *info = &x->model->info;
  const tp_tensor_spec *spec = &info->tensors[k];
  if (x->lanes[k].stride < x->model->backend->piece_bytes) return false;
  return k < info->inputs || (spec->fixed && spec->item_bytes <= x->lanes[k].stride);
}

static uint32_t slots_within_limit(const tp_instance *x, const tp_channel *channel) {
  const tp_model_info *info = &x->model->info;
  uint64_t slot_bytes = 0;
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    if (is_worth(x, k)) slot_bytes += x->lanes[k].stride;
  }
  if (slot_bytes == 0) return 0;
  uint64_t slots = x->model->backend->pin_limit(x->state) / slot_bytes;
  return slots < channel->slots ? (uint32_t)slots : channel->slots;
}

/* Adds a range, in order. */
static void add_range(range *ranges, uint32_t *count, range added) {
  uint32_t at = (*count)++;
  for (; at > 0 && ranges[at - 1].start > added.start; at--) ranges[at] = ranges[at - 1];
  ranges[at] = added;
}

/* The pages of `slots` slots. Tensors that share a page have one range: no page can be pinned twice. */
static uint32_t find_ranges(const tp_instance *x, const tp_channel *channel, uint32_t slots, range *ranges) {
  const tp_model_info *info = &x->model->info;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uint32_t count = 0, joined = 0;
  for (uint32_t k = 0; slots > 0 && k < info->inputs + info->outputs; k++) {
    if (!is_worth(x, k)) continue;
    uintptr_t start = (uintptr_t)channel->payload + (uintptr_t)x->lanes[k].offset;
    uintptr_t end = start + (uintptr_t)x->lanes[k].stride * slots;
    add_range(ranges, &count, (range){start & ~(page - 1), (end + page - 1) & ~(page - 1)});
  }
  for (uint32_t i = 1; i < count; i++) {
    if (ranges[i].start > ranges[joined].end) ranges[++joined] = ranges[i];
    else if (ranges[i].end > ranges[joined].end) ranges[joined].end = ranges[i].end;
  }
  return count > 0 ? joined + 1 : 0;
}

static void let_go(const tp_instance *x, tp_pins *pins) {
  while (pins->count > 0) x->model->backend->unpin(pins->held[--pins->count]);
  pins->slots = 0;
}

int32_t tp_pins_take(tp_instance *x, tp_channel *channel) {
  range ranges[TP_MAX_TENSORS];
  tp_pins *pins = tp_alloc(sizeof *pins);
  if (pins == NULL) return TP_ERR_MEMORY;
  pins->slots = slots_within_limit(x, channel);
  uint32_t count = find_ranges(x, channel, pins->slots, ranges);
  int32_t status = TP_OK;
  bool refused = false;
  while (status == TP_OK && !refused && pins->count < count) {
    const range *r = &ranges[pins->count];
    void **held = &pins->held[pins->count];
    status = x->model->backend->pin(x->state, (void *)r->start, r->end - r->start, held);
    if (status == TP_OK && *held != NULL) pins->count++;
    else refused = true;
  }
  if (refused) let_go(x, pins);
  if (status == TP_OK) channel->pins = pins;
  else tp_free(pins);
  return status;
}

void tp_pins_drop(tp_instance *x, tp_channel *channel) {
  if (channel->pins == NULL) return;
  let_go(x, channel->pins);
  tp_free(channel->pins);
  channel->pins = NULL;
}

void tp_pins_drop_all(tp_instance *x) {
  for (uint32_t channel = 0; channel < TP_MAX_CHANNELS; channel++) tp_pins_drop(x, &x->channels[channel]);
}

/* Rows from `row` on that are one piece: neighbouring pinned slots, or neighbours in staging memory. */
static uint32_t piece_rows(const tp_instance *x, uint32_t k, uint32_t row) {
  const tp_place *places = x->places;
  if (places[row].pinned) {
    uint32_t count = tp_places_at_once(places, row, x->run.rows, &x->lanes[k], x->run.item_bytes[k]);
    /* Of neighbours the pinned ones come first. */
    while (!places[row + count - 1].pinned) count--;
    return count;
  }
  uint32_t next = row + 1;
  while (next < x->run.rows && !places[next].pinned) next++;
  return next - row;
}

void tp_pins_place(tp_instance *x, uint32_t k) {
  tp_run *run = &x->run;
  run->pieces[k] = 0;
  if (!x->any_pinned || run->item_bytes[k] < x->model->backend->piece_bytes || !is_worth(x, k)) return;
  for (uint32_t row = 0, count; row < run->rows; row += count) {
    count = piece_rows(x, k, row);
    uint8_t *data = x->places[row].pinned ? tp_place_data(&x->places[row], &x->lanes[k])
                                          : x->staging[k] + row * run->item_bytes[k];
    run->piece[k][run->pieces[k]++] = (tp_piece){data, count};
  }
}

void tp_pins_gather(tp_instance *x, uint32_t k) {
  uint64_t bytes = x->run.item_bytes[k];
  for (uint32_t i = 0, row = 0; i < x->run.pieces[k]; row += x->run.piece[k][i++].rows) {
    if (x->places[row].pinned) continue;
    tp_gather(x->places + row, x->run.piece[k][i].rows, &x->lanes[k], bytes, x->staging[k] + row * bytes);
  }
}

void tp_pins_scatter(const tp_instance *x, uint32_t k) {
  uint64_t bytes = x->run.item_bytes[k];
  for (uint32_t i = 0, row = 0; i < x->run.pieces[k]; row += x->run.piece[k][i++].rows) {
    if (x->places[row].pinned) continue;
    tp_scatter(x->places + row, x->run.piece[k][i].rows, &x->lanes[k], bytes, x->staging[k] + row * bytes);
  }
}
