/*
 * Slots that a device copies from and to by itself, because their memory is pinned. A backend that gains from
 * that can pin memory (tp_backend.pin); what is pinned is decided here: of each channel, when an instance
 * first runs rows of it, as many slots as the backend's limit allows, from slot 0 on. The lowest free slot is
 * used first, so those are the slots in use.
 *
 * An instance holds its pins until the channel is bound anew or the instance is destroyed; callers' memory
 * lives longer than either.
 */
#ifndef TP_PINS_H
#define TP_PINS_H

#include "instance.h"

/* What an instance holds of one channel. */
typedef struct tp_pins {
  uint32_t slots; /* slots 0..slots-1 are pinned, those of small tensors apart; 0: none could be */
  uint32_t count;
  void *held[TP_MAX_TENSORS];
} tp_pins;

/* Pins what may be pinned of a channel, which is no failure if the system refuses. Errors: MEMORY, DEVICE. */
int32_t tp_pins_take(tp_instance *instance, tp_channel *channel);

/* Gives back what the instance holds of a channel, or of all. */
void tp_pins_drop(tp_instance *instance, tp_channel *channel);
void tp_pins_drop_all(tp_instance *instance);

static inline bool tp_pins_has(const tp_channel *channel, uint32_t slot) {
  return channel->pins != NULL && slot < channel->pins->slots;
}

/*
 * Tells the backend (run.piece, run.pieces) in which pieces the rows of tensor k lie: pinned slots as they
 * are, the other rows in staging memory. No pieces if all is in staging memory, or small.
 */
void tp_pins_place(tp_instance *instance, uint32_t k);

/* The rows of tensor k whose slots are not pinned: slots -> staging memory, and back. */
void tp_pins_gather(tp_instance *instance, uint32_t k);
void tp_pins_scatter(const tp_instance *instance, uint32_t k);

#endif
