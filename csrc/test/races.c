/* Threads that use the same things at once: one session for all, and handles that are closed while in use. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "fixture.h"

enum { THREADS = 4, RUNS = 300 };

/* Each row tells which thread and which run it belongs to: y = -x. */
static void *run_checked(void *argument) {
  const fixture *f = argument;
  for (uint32_t run = 0; run < RUNS; run++) {
    uint32_t rows = 1 + run % 8;
    for (uint32_t row = 0; row < rows; row++) {
      uint32_t slot = run % 3 == 0 ? row : (row * 5 + run) % FIXTURE_SLOTS;
      set_row(f, row, run % FIXTURE_CHANNELS, slot);
      float *x = slot_data(f, run % FIXTURE_CHANNELS, slot, 0);
      for (int i = 0; i < 64; i++)
        x[i] = (float)(f->instance % 1000) * 1000 + (float)(row * 64 + (uint32_t)i);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f->instance, rows));
    for (uint32_t row = 0; row < rows; row++) {
      const float *y = slot_data(f, run % FIXTURE_CHANNELS, row_of(f, row)->slot, 1);
      for (int i = 0; i < 64; i++) {
        CHECK_EQUAL(-((float)(f->instance % 1000) * 1000 + (float)(row * 64 + (uint32_t)i)), y[i]);
      }
    }
  }
  return NULL;
}

static void one_model(uint32_t model) {
  fixture f[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) f[i] = make_fixture(model, 8, 1, 2, (uint64_t[]){256, 256});
  CHECK_EQUAL(TP_OK, tp_model_close(model)); /* instances keep it */
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_create(&threads[i], NULL, run_checked, &f[i]));
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
  for (int i = 0; i < THREADS; i++) end_fixture(&f[i]);
}

static uint32_t negation(const char *options) {
  onnx_writer w = {0};
  static const int64_t dims[] = {-1, 64};
  uint32_t model = 0;
  onnx_input(&w, "x", TP_F32, 2, dims);
  onnx_output(&w, "y", TP_F32, 2, dims);
  onnx_node(&w, "Neg", "x", "y");
  onnx_finish(&w);
  CHECK_EQUAL(TP_OK, open_onnx(options, w.model.data, w.model.length, &model));
  onnx_free(&w);
  return model;
}

/* Threads use one instance and one model while another gives both back: nobody sees freed memory. */
typedef struct contest {
  _Atomic uint32_t model, instance, stop;
} contest;

static void *use(void *argument) {
  contest *c = argument;
  uint32_t made = 0;
  char text[256];
  while (!atomic_load(&c->stop)) {
    int32_t status = tp_instance_run(atomic_load(&c->instance), 1);
    CHECK(status == TP_ERR_ARGUMENT || status == TP_ERR_HANDLE || status == TP_ERR_BUSY);
    status = tp_instance_interrupt(atomic_load(&c->instance));
    CHECK(status == TP_OK || status == TP_ERR_HANDLE);
    status = tp_model_describe(atomic_load(&c->model), text, sizeof text);
    CHECK(status > 0 || status == TP_ERR_HANDLE);
    status = tp_instance_create(atomic_load(&c->model), 2, 1, &made);
    CHECK(status == TP_OK || status == TP_ERR_HANDLE);
    if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_instance_destroy(made));
  }
  return NULL;
}

static void close_while_in_use(void) {
  contest c = {0};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_create(&threads[i], NULL, use, &c));
  for (int round = 0; round < 300; round++) {
    uint32_t model = 0, instance = 0;
    CHECK_EQUAL(TP_OK, open_model("backend=Fault;shape=4", NULL, 0, &model));
    atomic_store(&c.model, model);
    CHECK_EQUAL(TP_OK, tp_instance_create(model, 1, 1, &instance));
    atomic_store(&c.instance, instance);
    sleep_us(100);
    CHECK_EQUAL(TP_OK, tp_model_close(model));
    int32_t status;
    while ((status = tp_instance_destroy(instance)) == TP_ERR_BUSY) sched_yield();
    CHECK_EQUAL(TP_OK, status);
  }
  atomic_store(&c.stop, 1);
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
  CHECK_EQUAL(0, tp_handle_count());
}

/* The owners of a result's rows are different threads. */
static void *release_row(void *argument) {
  uint32_t result = (uint32_t)(uintptr_t)argument;
  float item[16];
  CHECK_EQUAL(TP_OK, tp_result_copy(result, 0, 0, item, sizeof item));
  for (int i = 0; i < 16; i++) CHECK_EQUAL(i, item[i]);
  CHECK_EQUAL(TP_OK, tp_result_release(result));
  return NULL;
}

static void results_are_shared(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=16", NULL, 0, &model));
  fixture f = make_fixture(model, THREADS, 1, 2, (uint64_t[]){64, 0});
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  for (int i = 0; i < 16; i++) ((float *)slot_data(&f, 0, 0, 0))[i] = (float)i;
  for (uint32_t row = 0; row < THREADS; row++) set_row(&f, row, 0, 0);
  for (int round = 0; round < 50; round++) {
    pthread_t threads[THREADS];
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, THREADS));
    for (int i = 0; i < THREADS; i++) {
      CHECK_EQUAL(0, pthread_create(&threads[i], NULL, release_row, (void *)(uintptr_t)f.batch->result));
    }
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
    CHECK_EQUAL(1, tp_handle_count());
  }
  end_fixture(&f);
}

static void *open_and_close(void *unused) {
  (void)unused;
  for (int i = 0; i < 10; i++) CHECK_EQUAL(TP_OK, tp_model_close(negation("threads=2")));
  return NULL;
}

int main(void) {
  close_while_in_use();
  results_are_shared();
  CHECK_EQUAL(0, tp_handle_count());
  need_onnxruntime();
  pthread_t threads[THREADS];
  /* The first to come opens the library for all. */
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_create(&threads[i], NULL, open_and_close, NULL));
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
  one_model(negation(""));
  one_model(negation("session=own"));
  one_model(negation("threads=2"));
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
