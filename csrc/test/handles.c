/* The handle table alone: stale and foreign handles, late unpins, exhaustion, closing what others pin. */
#include "../handles.h"

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

static int finalized;

static void count_finalize(void *object) {
  (void)object;
  finalized++;
}

static void basics(void) {
  int object = 7;
  uint32_t handle = 0;
  CHECK_EQUAL(TP_OK, tp_handle_open(TP_KIND_MODEL, &object, count_finalize, &handle));
  CHECK(handle != 0);
  CHECK_EQUAL(1, tp_handle_count());
  CHECK(tp_handle_pin(handle, TP_KIND_MODEL) == &object);
  CHECK(tp_handle_pin(handle, TP_KIND_INSTANCE) == NULL);
  CHECK_ERROR("expected an instance, got a model");
  CHECK_FAILS(TP_ERR_HANDLE, "expected a result, got a model", tp_handle_close(handle, TP_KIND_RESULT));

  CHECK_EQUAL(TP_OK, tp_handle_close(handle, TP_KIND_MODEL));
  CHECK_EQUAL(0, tp_handle_count());
  CHECK_EQUAL(0, finalized); /* still pinned */
  CHECK(tp_handle_pin(handle, TP_KIND_MODEL) == NULL);
  CHECK_FAILS(TP_ERR_HANDLE, "closed or never opened", tp_handle_close(handle, TP_KIND_MODEL));
  tp_handle_unpin(handle);
  CHECK_EQUAL(1, finalized);
  CHECK(tp_handle_pin(handle, TP_KIND_MODEL) == NULL);
  CHECK(tp_handle_pin(0, TP_KIND_MODEL) == NULL);
  CHECK(tp_handle_pin(UINT32_MAX, TP_KIND_MODEL) == NULL);
}

/* Opens and closes far more often than there are generations: an old handle must stay wrong. */
static void reuse(void) {
  int object = 0;
  uint32_t first = 0, last = 0;
  CHECK_EQUAL(TP_OK, tp_handle_open(TP_KIND_WATCH, &object, count_finalize, &first));
  CHECK_EQUAL(TP_OK, tp_handle_close(first, TP_KIND_WATCH));
  for (int i = 0; i < 300000; i++) {
    CHECK_EQUAL(TP_OK, tp_handle_open(TP_KIND_WATCH, &object, count_finalize, &last));
    CHECK(last != 0 && last != first);
    CHECK(tp_handle_pin(first, TP_KIND_WATCH) == NULL);
    CHECK_EQUAL(TP_OK, tp_handle_close(last, TP_KIND_WATCH));
  }
}

static void exhaustion(void) {
  static uint32_t handles[65536];
  int object = 0;
  uint32_t one_more = 0;
  finalized = 0;
  for (int i = 0; i < 65536; i++) {
    CHECK_EQUAL(TP_OK, tp_handle_open(TP_KIND_RESULT, &object, count_finalize, &handles[i]));
  }
  CHECK_FAILS(TP_ERR_MEMORY, "all 65536 are in use",
              tp_handle_open(TP_KIND_RESULT, &object, count_finalize, &one_more));
  CHECK_EQUAL(65536, tp_handle_count());
  /* With one slot left, it is used again and again: its generation comes round and is never 0. */
  uint32_t last = handles[65535];
  for (int i = 0; i < 66000; i++) {
    CHECK_EQUAL(TP_OK, tp_handle_close(last, TP_KIND_RESULT));
    CHECK_EQUAL(TP_OK, tp_handle_open(TP_KIND_RESULT, &object, count_finalize, &one_more));
    CHECK(one_more != last && one_more >> 16 != 0);
    CHECK(tp_handle_pin(last, TP_KIND_RESULT) == NULL);
    last = one_more;
  }
  handles[65535] = last;
  for (int i = 0; i < 65536; i++) CHECK_EQUAL(TP_OK, tp_handle_close(handles[i], TP_KIND_RESULT));
  CHECK_EQUAL(65536 + 66000, finalized);
  CHECK_EQUAL(0, tp_handle_count());
}

/* Threads pin what others close: whoever holds a pin must find the object whole until it lets go. */
typedef struct shared_object {
  _Atomic uint32_t whole;
} shared_object;

enum { PLACES = 8, ROUNDS = 20000, THREADS = 4 };
static _Atomic uint32_t places[PLACES];

static void break_object(void *object) {
  shared_object *shared = object;
  atomic_store(&shared->whole, 0);
  free(shared);
}

static void replace(uint32_t place) {
  shared_object *made = malloc(sizeof *made);
  CHECK(made != NULL);
  atomic_init(&made->whole, 1);
  uint32_t handle = 0;
  CHECK_EQUAL(TP_OK, tp_handle_open(TP_KIND_MODEL, made, break_object, &handle));
  uint32_t before = atomic_exchange(&places[place], handle);
  if (before != 0) CHECK_EQUAL(TP_OK, tp_handle_close(before, TP_KIND_MODEL));
}

static void *pin_and_replace(void *seed) {
  uint64_t random = (uintptr_t)seed;
  for (int i = 0; i < ROUNDS; i++) {
    uint32_t place = next_random(&random) % PLACES;
    uint32_t handle = atomic_load(&places[place]);
    shared_object *object = tp_handle_pin(handle, TP_KIND_MODEL);
    if (next_random(&random) % 4 == 0) replace(place);
    if (object == NULL) continue;
    CHECK_EQUAL(1, atomic_load(&object->whole));
    tp_handle_unpin(handle);
  }
  return NULL;
}

static void races(void) {
  pthread_t threads[THREADS];
  for (uint32_t place = 0; place < PLACES; place++) replace(place);
  for (uintptr_t i = 0; i < THREADS; i++) {
    CHECK_EQUAL(0, pthread_create(&threads[i], NULL, pin_and_replace, (void *)(i + 1)));
  }
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
  for (int i = 0; i < PLACES; i++) CHECK_EQUAL(TP_OK, tp_handle_close(places[i], TP_KIND_MODEL));
  CHECK_EQUAL(0, tp_handle_count());
}

int main(void) {
  basics();
  reuse();
  exhaustion();
  races();
  return 0;
}
