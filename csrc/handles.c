#include "handles.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "forked.h"
#include "status.h"

#define SLOTS 65536u
/* A slot rests while fewer than this many are free, so that its 16-bit generation lasts for 2^26 handles at
 * least. */
#define RESTING 1024u

/*
 * A slot's word: pins in bits 0-31, kind in 32-39 (0: free), closed in bit 40, generation in 48-63. All
 * changes are compare-exchanges or subtractions on it, so kind, generation and pins are always seen together.
 */
#define CLOSED ((uint64_t)1 << 40)
#define PINS(word) ((uint32_t)(word))
#define KIND(word) ((uint32_t)((word) >> 32) & 0xFFu)
#define GENERATION(word) ((uint32_t)((word) >> 48))

/* Alone on its cache line: two instances that run side by side must not slow each other down. */
typedef struct slot {
  _Alignas(64) _Atomic uint64_t word;
  void *object;
  tp_finalize finalize;
  uint32_t next_free;
} slot;

static slot slots[SLOTS];
static _Atomic uint32_t open_count;

/* Free slots, first in first out, and the number of slots that were ever used. */
static struct {
  pthread_mutex_t lock;
  uint32_t first, last, count, used;
} free_list = {PTHREAD_MUTEX_INITIALIZER, 0, 0, 0, 0};

static const char *kind_name(uint32_t kind) {
  static const char *const names[] = {"nothing",        "a model", "an instance",    "a result",
                                      "a thread watch", "a build", "a device tensor"};
  return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

static bool take_slot(uint32_t *index) {
  pthread_mutex_lock(&free_list.lock);
  bool taken = true;
  if (free_list.used < SLOTS && free_list.count < RESTING) {
    *index = free_list.used++;
  } else if (free_list.count > 0) {
    *index = free_list.first;
    free_list.first = slots[*index].next_free;
    free_list.count--;
  } else {
    taken = false;
  }
  pthread_mutex_unlock(&free_list.lock);
  return taken;
}

static void give_slot(uint32_t index) {
  pthread_mutex_lock(&free_list.lock);
  if (free_list.count == 0) free_list.first = index;
  else slots[free_list.last].next_free = index;
  free_list.last = index;
  free_list.count++;
  pthread_mutex_unlock(&free_list.lock);
}

int32_t tp_handle_open(tp_kind kind, void *object, tp_finalize finalize, uint32_t *handle_out) {
  uint32_t index;
  if (tp_is_forked()) return tp_refuse_forked();
  tp_watch_forks();
  if (!take_slot(&index))
    return tp_fail(TP_ERR_MEMORY, "cannot open another handle: all %u are in use", SLOTS);
  slot *s = &slots[index];
  uint32_t generation = GENERATION(atomic_load_explicit(&s->word, memory_order_relaxed));
  generation = generation == 0xFFFFu ? 1 : generation + 1;
  s->object = object;
  s->finalize = finalize;
  atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
  /* Publishes the object to whoever pins the handle. */
  atomic_store_explicit(&s->word, (uint64_t)generation << 48 | (uint64_t)kind << 32, memory_order_release);
  *handle_out = generation << 16 | index;
  return TP_OK;
}

/* Adds one pin, and `flags`, to an open slot; false, with the last error set, if the handle is not good. */
static bool enter(slot *s, uint32_t handle, tp_kind kind, uint64_t flags) {
  if (tp_is_forked()) {
    tp_refuse_forked();
    return false;
  }
  uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
  for (;;) {
    if (GENERATION(word) != handle >> 16 || KIND(word) == 0 || (word & CLOSED) != 0) {
      tp_fail(TP_ERR_HANDLE, "cannot use handle 0x%08x: it was closed or never opened", handle);
      return false;
    }
    if (KIND(word) != (uint32_t)kind) {
      tp_fail(TP_ERR_HANDLE, "cannot use handle 0x%08x: expected %s, got %s", handle,
              kind_name((uint32_t)kind), kind_name(KIND(word)));
      return false;
    }
    if (atomic_compare_exchange_weak_explicit(&s->word, &word, (word + 1) | flags, memory_order_acq_rel,
                                              memory_order_relaxed)) {
      return true;
    }
  }
}

static void leave(slot *s, uint32_t index) {
  uint64_t before = atomic_fetch_sub_explicit(&s->word, 1, memory_order_acq_rel);
  if ((before & CLOSED) == 0 || PINS(before) != 1) return;
  s->finalize(s->object);
  atomic_store_explicit(&s->word, (uint64_t)GENERATION(before) << 48, memory_order_relaxed);
  give_slot(index);
}

void *tp_handle_pin(uint32_t handle, tp_kind kind) {
  slot *s = &slots[handle & 0xFFFFu];
  return enter(s, handle, kind, 0) ? s->object : NULL;
}

int32_t tp_handle_refused(void) { return tp_is_forked() ? TP_ERR_FORKED : TP_ERR_HANDLE; }

void tp_handle_unpin(uint32_t handle) { leave(&slots[handle & 0xFFFFu], handle & 0xFFFFu); }

int32_t tp_handle_close(uint32_t handle, tp_kind kind) {
  slot *s = &slots[handle & 0xFFFFu];
  if (!enter(s, handle, kind, CLOSED)) return tp_handle_refused();
  atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed);
  leave(s, handle & 0xFFFFu);
  return TP_OK;
}

uint32_t tp_handle_count(void) { return atomic_load_explicit(&open_count, memory_order_relaxed); }
