/* A forked child is refused by everything that has to do with handles, and its parent is not disturbed. */
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* In the child: every such function says why, with nothing touched. */
static void refused(const fixture *f, uint32_t watch) {
  static const char why[] = "was forked from one that uses it";
  uint32_t out = 0;
  CHECK_FAILS(TP_ERR_FORKED, why, tp_instance_run(f->instance, 1));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_instance_interrupt(f->instance));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_instance_interrupt_run(f->instance, 1));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_instance_create(f->model, 1, 1, &out));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_instance_bind_batch(f->instance, f->batch, 1));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_instance_destroy(f->instance));
  CHECK_FAILS(TP_ERR_FORKED, why, open_model("backend=Identity", NULL, 0, &out));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_model_describe(f->model, NULL, 0));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_model_close(f->model));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_result_copy(1, 0, 0, &out, 4));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_result_release(1));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_thread_watch(&out));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_thread_alive(watch));
  CHECK_FAILS(TP_ERR_FORKED, why, tp_thread_unwatch(watch));
  CHECK_EQUAL(0, out);
  CHECK_EQUAL((uint32_t)TP_ABI_MAJOR << 16 | TP_ABI_MINOR, tp_abi_version());
  CHECK_EQUAL(3, tp_handle_count());
}

static int32_t in_child(void (*work)(const fixture *, uint32_t), const fixture *f, uint32_t watch) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    work(f, watch);
    tp_process_exit(42 + 256);
  }
  int status = 0;
  CHECK_EQUAL(child, waitpid(child, &status, 0));
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* A child that came while there was no handle has the library for itself. */
static void alone(const fixture *f, uint32_t watch) {
  (void)f;
  (void)watch;
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model("backend=Identity", NULL, 0, &model));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

/* Its handlers at exit must not run: tp_process_exit is for when they would wait for ever. */
static void not_run(void) { tp_process_exit(99); }

int main(void) {
  CHECK_EQUAL(0, atexit(not_run));
  CHECK_EQUAL(42, in_child(alone, NULL, 0));
  uint32_t model = 0, watch = 0;
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=2", NULL, 0, &model));
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){8, 8});
  CHECK_EQUAL(TP_OK, tp_thread_watch(&watch));
  set_row(&f, 0, 0, 0);
  CHECK_EQUAL(42, in_child(refused, &f, watch));
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(TP_OK, tp_thread_unwatch(watch));
  CHECK_EQUAL(0, tp_handle_count());
  CHECK_EQUAL(42, in_child(alone, NULL, 0));
  tp_process_exit(0);
}
