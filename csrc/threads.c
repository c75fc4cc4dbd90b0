/*
 * Tells whether a thread still lives, also after its JavaScript runtime ended it from outside: a
 * thread-specific value whose destructor the C library runs on the dying thread itself. The state lies in
 * memory of our own, never in a caller's buffer, which may be gone by then.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "handles.h"
#include "memory.h"
#include "status.h"

/* Shared by the thread and its watches; the last of them frees it. */
typedef struct thread_state {
  _Atomic uint32_t references;
  _Atomic uint32_t alive;
} thread_state;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool key_made;

static void drop(void *object) {
  thread_state *state = object;
  if (atomic_fetch_sub_explicit(&state->references, 1, memory_order_acq_rel) == 1) tp_free(state);
}

/* Runs on the thread that ends. The library must still be mapped then: hence -z nodelete. */
static void on_thread_end(void *object) {
  thread_state *state = object;
  atomic_store_explicit(&state->alive, 0, memory_order_release);
  drop(state);
}

static void make_key(void) { key_made = pthread_key_create(&key, on_thread_end) == 0; }

/* The calling thread's state, made on first use; NULL, with the last error set, when that fails. */
static thread_state *own_state(void) {
  pthread_once(&once, make_key);
  if (!key_made) {
    tp_fail(TP_ERR_MEMORY, "cannot watch a thread: the process has no thread-specific key left");
    return NULL;
  }
  thread_state *state = pthread_getspecific(key);
  if (state != NULL) return state;
  state = tp_alloc(sizeof *state);
  if (state == NULL) return NULL;
  atomic_init(&state->references, 1);
  atomic_init(&state->alive, 1);
  if (pthread_setspecific(key, state) == 0) return state;
  tp_free(state);
  tp_fail(TP_ERR_MEMORY, "cannot watch a thread: no memory for its thread-specific value");
  return NULL;
}

int32_t tp_thread_watch(uint32_t *watch_out) {
  if (watch_out == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot watch a thread: watch_out is NULL");
  thread_state *state = own_state();
  if (state == NULL) return TP_ERR_MEMORY;
  atomic_fetch_add_explicit(&state->references, 1, memory_order_relaxed);
  int32_t status = tp_handle_open(TP_KIND_WATCH, state, drop, watch_out);
  if (status != TP_OK) drop(state);
  return status;
}

int32_t tp_thread_alive(uint32_t watch) {
  thread_state *state = tp_handle_pin(watch, TP_KIND_WATCH);
  if (state == NULL) return tp_handle_refused();
  int32_t alive = (int32_t)atomic_load_explicit(&state->alive, memory_order_acquire);
  tp_handle_unpin(watch);
  return alive;
}

int32_t tp_thread_unwatch(uint32_t watch) { return tp_handle_close(watch, TP_KIND_WATCH); }
