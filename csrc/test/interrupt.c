/* Ending runs from another thread, and never the wrong one: at the start, in the middle and at their end. */
#include <pthread.h>
#include <stdatomic.h>

#include "../fault.h"
#include "fixture.h"

typedef struct runner {
  fixture f;
  _Atomic uint32_t started, finished; /* runs */
  uint32_t runs, interrupted;
} runner;

static void *run_many(void *argument) {
  runner *r = argument;
  for (uint32_t i = 0; i < r->runs; i++) {
    atomic_fetch_add(&r->started, 1);
    int32_t status;
    /* Whoever tries whether it runs may be in its way for a moment. */
    do status = tp_instance_run(r->f.instance, 1);
    while (status == TP_ERR_BUSY);
    atomic_fetch_add(&r->finished, 1);
    if (status == TP_ERR_INTERRUPTED) r->interrupted++;
    else CHECK_EQUAL(TP_OK, status);
  }
  return NULL;
}

/* Each of these runs ends only by an interrupt, and each interrupt ends one run at most. */
static void hanging_runs(fixture f, uint32_t runs) {
  runner r = {.f = f, .runs = runs};
  pthread_t thread;
  CHECK_EQUAL(0, pthread_create(&thread, NULL, run_many, &r));
  for (uint32_t run = 1; run <= runs; run++) {
    while (atomic_load(&r.started) < run) sleep_us(20);
    while (atomic_load(&r.finished) < run) {
      CHECK_EQUAL(TP_OK, tp_instance_interrupt(f.instance));
      sleep_us(run % 7 * 30);
    }
  }
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  CHECK_EQUAL(runs, r.interrupted);
}

/* Nothing hangs here: interrupts hit runs by chance, and what is not hit gives its answer. */
static void short_runs(fixture f, uint32_t runs) {
  runner r = {.f = f, .runs = runs};
  pthread_t thread;
  CHECK_EQUAL(0, pthread_create(&thread, NULL, run_many, &r));
  while (atomic_load(&r.finished) < runs) CHECK_EQUAL(TP_OK, tp_instance_interrupt(f.instance));
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  /* What was asked for after the last run ended has no effect on the next. */
  CHECK_EQUAL(TP_OK, tp_instance_interrupt(f.instance));
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
}

/* An interrupt that means one run ends that run, and none before or after it. */
static void named_runs(fixture f) {
  runner r = {.f = f, .runs = 1};
  for (uint32_t run = 1; run <= 20; run++) {
    pthread_t thread;
    f.batch->run = run * 0x01000003u;
    atomic_store(&r.started, 0);
    atomic_store(&r.finished, 0);
    CHECK_EQUAL(0, pthread_create(&thread, NULL, run_many, &r));
    while (tp_instance_bind_batch(f.instance, NULL, 0) != TP_ERR_BUSY) sleep_us(20);
    for (uint32_t other = 0; other < 5; other++) {
      CHECK_EQUAL(TP_OK, tp_instance_interrupt_run(f.instance, (run + other - 5) * 0x01000003u));
      CHECK_EQUAL(TP_OK, tp_instance_interrupt_run(f.instance, (run + other + 1) * 0x01000003u));
    }
    sleep_us(2000);
    CHECK_EQUAL(0, atomic_load(&r.finished));
    while (atomic_load(&r.finished) < 1) {
      CHECK_EQUAL(TP_OK, tp_instance_interrupt_run(f.instance, run * 0x01000003u));
      sleep_us(50);
    }
    CHECK_EQUAL(0, pthread_join(thread, NULL));
  }
  CHECK_EQUAL(20, r.interrupted);
  f.batch->run = 0;
}

/* While an instance runs, nothing else can be done with it. */
static void busy(fixture f) {
  runner r = {.f = f, .runs = 1};
  pthread_t thread;
  CHECK_EQUAL(0, pthread_create(&thread, NULL, run_many, &r));
  while (tp_instance_bind_batch(f.instance, NULL, 0) != TP_ERR_BUSY) sleep_us(20);
  CHECK_FAILS(TP_ERR_BUSY, "in use on another thread", tp_instance_run(f.instance, 1));
  CHECK_EQUAL(TP_ERR_BUSY, tp_instance_bind_layout(f.instance, f.offsets, f.strides, 2));
  CHECK_EQUAL(TP_ERR_BUSY, tp_instance_bind_channel(f.instance, 0, NULL, 0, 0));
  CHECK_EQUAL(TP_ERR_BUSY, tp_instance_destroy(f.instance));
  while (atomic_load(&r.finished) < 1) CHECK_EQUAL(TP_OK, tp_instance_interrupt(f.instance));
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  CHECK_EQUAL(1, r.interrupted);
}

static void fault(const char *backend, uint32_t short_count) {
  char options[1024];
  uint32_t model = 0;
  snprintf(options, sizeof options, "%s;shape=2", backend);
  CHECK_EQUAL(TP_OK, open_model(options, NULL, 0, &model));
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){8, 8});
  set_row(&f, 0, 0, 0);
  memcpy(slot_data(&f, 0, 0, 0), (float[]){TP_FAULT_HANG, 0}, 8);
  busy(f);
  named_runs(f);
  hanging_runs(f, 200);
  memcpy(slot_data(&f, 0, 0, 0), (float[]){TP_FAULT_NONE, 0}, 8);
  short_runs(f, short_count);
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

/* A Loop that turns 2^60 times, or as often as the input says. */
static uint32_t loop_model(const char *options) {
  onnx_writer w = {0}, body = {0};
  static const int64_t rows[] = {1, 1}, one = 1;
  static const uint8_t yes = 1;
  onnx_input(&w, "trips", TP_I64, 2, rows);
  onnx_output(&w, "sum", TP_I64, 2, rows);
  onnx_initializer(&w, "yes", TP_BOOL, 0, NULL, &yes, 1);
  onnx_initializer(&w, "start", TP_I64, 2, rows, (int64_t[]){0}, 8);
  onnx_initializer(&w, "scalar", TP_I64, 1, (int64_t[]){0}, NULL, 0);
  onnx_node(&w, "Reshape", "trips scalar", "count");
  onnx_input(&body, "i", TP_I64, 0, NULL);
  onnx_input(&body, "go", TP_BOOL, 0, NULL);
  onnx_input(&body, "s", TP_I64, 2, rows);
  onnx_initializer(&body, "one", TP_I64, 0, NULL, &one, 8);
  onnx_node(&body, "Identity", "go", "go_on");
  onnx_node(&body, "Add", "s one", "next");
  onnx_output(&body, "go_on", TP_BOOL, 0, NULL);
  onnx_output(&body, "next", TP_I64, 2, rows);
  onnx_node_graphs(&w, "Loop", "count yes start", "sum", 1, (const char *const[]){"body"}, &body);
  onnx_finish(&w);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model(options, w.model.data, w.model.length, &model));
  onnx_free(&w);
  return model;
}

static void onnx(const char *backend) {
  char options[2048];
  snprintf(options, sizeof options, "%s;onnxruntime=%s", backend, getenv("TRTPIPE_ONNXRUNTIME"));
  uint32_t model = loop_model(options);
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){8, 8});
  set_row(&f, 0, 0, 0);
  *(int64_t *)slot_data(&f, 0, 0, 0) = (int64_t)1 << 60;
  hanging_runs(f, 30);
  *(int64_t *)slot_data(&f, 0, 0, 0) = 5;
  short_runs(f, 2000);
  CHECK_EQUAL(5, *(int64_t *)slot_data(&f, 0, 0, 1));
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

int main(void) {
  char in_child[1024];
  fault("backend=Fault", 20000);
  snprintf(in_child, sizeof in_child, "backend=Process;host=%s;inner=Fault", getenv("TRTPIPE_HOST"));
  fault(in_child, 2000);
  need_onnxruntime();
  onnx("backend=OnnxTensor");
  snprintf(in_child, sizeof in_child, "backend=Process;host=%s;inner=OnnxTensor", getenv("TRTPIPE_HOST"));
  onnx(in_child);
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
