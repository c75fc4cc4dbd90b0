#include "payload.h"

#include <string.h>

uint32_t tp_places_in_a_row(const tp_place *places, uint32_t first, uint32_t rows) {
  uint32_t next = first + 1;
  while (next < rows && places[next].payload == places[first].payload &&
         places[next].slot == places[first].slot + (next - first)) {
    next++;
  }
  return next - first;
}

uint8_t *tp_place_data(const tp_place *place, const tp_lane *lane) {
  return place->payload + lane->offset + place->slot * lane->stride;
}

uint32_t tp_places_at_once(const tp_place *places, uint32_t first, uint32_t rows, const tp_lane *lane,
                           uint64_t item_bytes) {
  return lane->stride == item_bytes ? tp_places_in_a_row(places, first, rows) : 1;
}

void tp_gather(const tp_place *places, uint32_t rows, const tp_lane *lane, uint64_t item_bytes, uint8_t *to) {
  if (item_bytes == 0) return;
  for (uint32_t row = 0, count; row < rows; row += count) {
    count = tp_places_at_once(places, row, rows, lane, item_bytes);
    memcpy(to + row * item_bytes, tp_place_data(&places[row], lane), count * item_bytes);
  }
}

void tp_scatter(const tp_place *places, uint32_t rows, const tp_lane *lane, uint64_t item_bytes,
                const uint8_t *from) {
  if (item_bytes == 0) return;
  for (uint32_t row = 0, count; row < rows; row += count) {
    count = tp_places_at_once(places, row, rows, lane, item_bytes);
    memcpy(tp_place_data(&places[row], lane), from + row * item_bytes, count * item_bytes);
  }
}
