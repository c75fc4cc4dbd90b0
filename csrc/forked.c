#include "forked.h"

#include <pthread.h>
#include <stdatomic.h>

#include "status.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic bool forked;

/* Runs in the child, on its only thread. posix_spawn and vfork do not come here: what they make runs another
 * program. */
static void on_child(void) {
  if (tp_handle_count() > 0) atomic_store_explicit(&forked, true, memory_order_relaxed);
}

/* Without memory for it forks stay unnoticed, as they were before. */
static void watch(void) { (void)pthread_atfork(NULL, NULL, on_child); }

void tp_watch_forks(void) { pthread_once(&once, watch); }

bool tp_is_forked(void) { return atomic_load_explicit(&forked, memory_order_relaxed); }

int32_t tp_refuse_forked(void) {
  return tp_fail(TP_ERR_FORKED,
                 "cannot use trtpipe in a process that was forked from one that uses it: each process "
                 "makes its own pipe, before it uses another's or after an exec");
}
