/* Watching threads: return, pthread_exit, cancellation while blocked, several watches, dead threads. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"

typedef struct watched {
  _Atomic uint32_t watch, second;
  _Atomic uint32_t go;
  int how;
} watched;

enum { RETURNS, EXITS, IS_CANCELLED };

static void *body(void *argument) {
  watched *w = argument;
  uint32_t watch = 0, second = 0;
  CHECK_EQUAL(TP_OK, tp_thread_watch(&watch));
  CHECK_EQUAL(TP_OK, tp_thread_watch(&second));
  CHECK(watch != second);
  CHECK_EQUAL(1, tp_thread_alive(watch));
  atomic_store(&w->second, second);
  atomic_store(&w->watch, watch);
  if (w->how == IS_CANCELLED) {
    for (;;) pause();
  }
  while (!atomic_load(&w->go)) sleep_us(200);
  if (w->how == EXITS) pthread_exit(NULL);
  return NULL;
}

static void thread_ends(int how) {
  watched w = {.how = how};
  pthread_t thread;
  CHECK_EQUAL(0, pthread_create(&thread, NULL, body, &w));
  while (atomic_load(&w.watch) == 0) sleep_us(200);
  uint32_t watch = atomic_load(&w.watch), second = atomic_load(&w.second);
  CHECK_EQUAL(1, tp_thread_alive(watch));
  CHECK_EQUAL(1, tp_thread_alive(second));
  if (how == IS_CANCELLED) CHECK_EQUAL(0, pthread_cancel(thread));
  atomic_store(&w.go, 1);
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  CHECK_EQUAL(0, tp_thread_alive(watch));
  CHECK_EQUAL(0, tp_thread_alive(second));
  CHECK_EQUAL(TP_OK, tp_thread_unwatch(watch));
  CHECK_FAILS(TP_ERR_HANDLE, "closed", tp_thread_alive(watch));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_thread_unwatch(watch));
  CHECK_EQUAL(0, tp_thread_alive(second));
  CHECK_EQUAL(TP_OK, tp_thread_unwatch(second));
}

static void *unwatches_itself(void *unused) {
  (void)unused;
  uint32_t watch = 0;
  for (int i = 0; i < 100; i++) {
    CHECK_EQUAL(TP_OK, tp_thread_watch(&watch));
    CHECK_EQUAL(TP_OK, tp_thread_unwatch(watch));
  }
  return NULL;
}

int main(void) {
  thread_ends(RETURNS);
  thread_ends(EXITS);
  thread_ends(IS_CANCELLED);
  pthread_t thread;
  CHECK_EQUAL(0, pthread_create(&thread, NULL, unwatches_itself, NULL));
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_thread_watch(NULL));
  CHECK_EQUAL(0, tp_handle_count());
  double before = tp_clock_ms();
  sleep_us(2000);
  double passed = tp_clock_ms() - before;
  CHECK(passed >= 2 && passed < 10000);
  return 0;
}
