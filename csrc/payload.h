/* Moving rows between callers' slots and memory where a batch lies in one piece. */
#ifndef TP_PAYLOAD_H
#define TP_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

/* A caller's payload, as it was bound. */
typedef struct tp_channel {
  uint8_t *payload; /* NULL: not bound */
  uint64_t bytes;
  uint32_t slots;
  struct tp_pins *pins; /* what the instance has pinned of it; NULL: not tried yet. See pins.h */
} tp_channel;

/* Where a row lives: checked, and read once from the batch block. */
typedef struct tp_place {
  uint8_t *payload;
  uint32_t slot;
  bool pinned; /* the slot is: its large tensors need no staging memory */
} tp_place;

/* Where a tensor lies in every payload: slot s at offset + s * stride. */
typedef struct tp_lane {
  uint64_t offset, stride;
} tp_lane;

/* Rows from `first` that lie in consecutive slots of one channel; at least 1. */
uint32_t tp_places_in_a_row(const tp_place *places, uint32_t first, uint32_t rows);

/* Rows from `first` that one copy of the tensor can move: consecutive slots, if their items touch. */
uint32_t tp_places_at_once(const tp_place *places, uint32_t first, uint32_t rows, const tp_lane *lane,
                           uint64_t item_bytes);

/* Where row `row` of the tensor lies in its slot. */
uint8_t *tp_place_data(const tp_place *place, const tp_lane *lane);

/* slots -> `to`: rows * item_bytes bytes. */
void tp_gather(const tp_place *places, uint32_t rows, const tp_lane *lane, uint64_t item_bytes, uint8_t *to);

/* `from` -> slots. */
void tp_scatter(const tp_place *places, uint32_t rows, const tp_lane *lane, uint64_t item_bytes,
                const uint8_t *from);

#endif
