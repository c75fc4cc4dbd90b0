/* What TensorrtTensor computes: batches, padding, several tensors, open and late sizes, threads. */
#include <pthread.h>

#include "trt_fixture.h"

static uint32_t open_writer(onnx_writer *w, const char *options) {
  uint32_t model = 0;
  int32_t status = open_trt(options, w->model.data, w->model.length, &model);
  if (status != TP_OK) FAIL("opening: %d", status);
  onnx_free(w);
  return model;
}

static void finish(fixture *f) {
  end_fixture(f);
  CHECK_EQUAL(TP_OK, tp_model_close(f->model));
  check_nothing_left();
}

static void put(const fixture *f, uint32_t slot, uint32_t k, int count, float first) {
  float *to = slot_data(f, 1, slot, k);
  for (int i = 0; i < count; i++) to[i] = first + (float)i;
}

static void check_negated(const fixture *f, uint32_t slot, uint32_t k, int count, float first) {
  const float *at = slot_data(f, 1, slot, k);
  for (int i = 0; i < count; i++) {
    if (at[i] != -(first + (float)i)) FAIL("slot %u, element %d: %g", slot, i, (double)at[i]);
  }
}

/* Batches of all sizes, in slots in a row and apart. */
static void batches(const char *options) {
  onnx_writer w = negation(3);
  uint32_t model = open_writer(&w, options);
  char text[4096];
  tp_model_describe(model, text, sizeof text);
  CHECK(strstr(text, "\"batch\":\"dynamic\"") != NULL);
  CHECK(strstr(text, family() == 1    ? "TensorRT for RTX 1.7.1 (Fake GPU 0)"
                     : family() == 10 ? "TensorRT 10.15.1 (Fake GPU 0)"
                                      : "TensorRT 11.2.1 (Fake GPU 0)") != NULL);
  fixture f = make_fixture(model, 8, 1, 2, (uint64_t[]){12, 12});
  for (uint32_t step = 1; step <= 3; step++) {
    for (uint32_t rows = 1; rows <= 8; rows++) {
      for (uint32_t row = 0; row < rows; row++) {
        set_row(&f, row, 1, row * step);
        put(&f, row * step, 0, 3, (float)(100 * rows + 10 * row));
      }
      CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
      for (uint32_t row = 0; row < rows; row++)
        check_negated(&f, row * step, 1, 3, (float)(100 * rows + 10 * row));
    }
  }
  finish(&f);
}

/* The same as graphs: each batch is one launch, whatever its size. */
static void graphs(void) {
  CHECK_EQUAL(0, graph_launches());
  batches("max=8;cuda_graph=1");
  CHECK_EQUAL(3 * 8, graph_launches());
  /* Where a capture fails, batches are enqueued. */
  static const char *const failing[] = {"cuStreamBeginCapture_v2", "cuStreamEndCapture",
                                        "cuGraphInstantiateWithFlags"};
  for (int i = 0; i < 3; i++) {
    fail_cuda(failing[i], 3, 901);
    batches("max=8;cuda_graph=1");
    CHECK_EQUAL(3 * 8, graph_launches());
  }
  fail_cuda(NULL, 0, 0);
}

/* The engine is built for no fewer than `min` rows, and smaller batches are filled up. */
static void padding(void) {
  onnx_writer w = negation(2);
  uint32_t model = open_writer(&w, "min=3;max=4");
  fixture f = make_fixture(model, 4, 3, 2, (uint64_t[]){8, 8});
  for (uint32_t rows = 4; rows >= 1; rows--) {
    for (uint32_t row = 0; row < rows; row++) {
      set_row(&f, row, 1, row);
      put(&f, row, 0, 2, (float)row);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
    for (uint32_t row = 0; row < rows; row++) check_negated(&f, row, 1, 2, (float)row);
  }
  finish(&f);
}

/* A model of a fixed batch needs no profile, and several tensors each find their place. */
static void fixed_batch(void) {
  onnx_writer w = {0};
  onnx_input(&w, "a", TP_F32, 2, (int64_t[]){4, 2});
  onnx_input(&w, "b", TP_I64, 2, (int64_t[]){4, 3});
  onnx_node(&w, "Identity", "b", "q");
  onnx_node(&w, "Neg", "a", "t");
  onnx_node(&w, "Abs", "t", "p");
  onnx_output(&w, "p", TP_F32, 2, (int64_t[]){4, 2});
  onnx_output(&w, "q", TP_I64, 2, (int64_t[]){4, 3});
  onnx_finish(&w);
  uint32_t model = open_writer(&w, "");
  fixture f = make_fixture(model, 4, 1, 4, (uint64_t[]){8, 24, 8, 24});
  for (uint32_t row = 0; row < 2; row++) {
    set_row(&f, row, 1, 5 + row);
    put(&f, 5 + row, 0, 2, -10);
    memcpy(slot_data(&f, 1, 5 + row, 1), (int64_t[]){row, -1, INT64_MAX}, 24);
  }
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 2));
  for (uint32_t row = 0; row < 2; row++) {
    check_negated(&f, 5 + row, 2, 2, -10);
    CHECK_EQUAL(0, memcmp(slot_data(&f, 1, 5 + row, 3), (int64_t[]){row, -1, INT64_MAX}, 24));
  }
  finish(&f);
}

/* Item dimensions that are open: full shapes say how far. The output stays in native memory or fits. */
static void open_items(void) {
  onnx_writer w = {0};
  onnx_input(&w, "x", TP_F32, 3, (int64_t[]){-1, -1, 2});
  onnx_node(&w, "Neg", "x", "y");
  onnx_output(&w, "y", TP_F32, 3, (int64_t[]){-1, -1, 2});
  onnx_finish(&w);
  uint32_t model = open_writer(&w, "min=1x1x2;max=4x5x2");
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){40, 16});
  f.batch->flags = TP_BATCH_DIMS;
  for (int32_t length = 1; length <= 5; length++) {
    for (uint32_t row = 0; row < 3; row++) {
      set_row(&f, row, 1, row);
      put(&f, row, 0, 2 * length, (float)(10 * row));
    }
    f.batch->dims[0][0] = length;
    f.batch->dims[0][1] = 2;
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 3));
    CHECK_EQUAL(length, f.batch->dims[1][0]);
    CHECK_EQUAL(length > 2, f.batch->result != 0);
    for (uint32_t row = 0; row < 3; row++) {
      if (length <= 2) {
        check_negated(&f, row, 1, 2 * length, (float)(10 * row));
        continue;
      }
      float copy[10];
      CHECK_EQUAL(TP_OK, tp_result_copy(f.batch->result, row, 0, copy, (uint64_t)length * 8));
      for (int i = 0; i < 2 * length; i++) CHECK(copy[i] == -(float)(10 * (int)row + i));
      CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    }
  }
  f.batch->dims[0][0] = 6;
  CHECK_FAILS(TP_ERR_ARGUMENT, "needs more than its stride", tp_instance_run(f.instance, 3));
  finish(&f);
}

static uint32_t open_late(const char *options) {
  onnx_writer w = {0};
  onnx_input(&w, "x", TP_F32, 2, (int64_t[]){-1, 2});
  onnx_node(&w, "NonZero", "x", "y");
  onnx_node(&w, "Neg", "x", "z");
  onnx_output(&w, "y", TP_F32, 2, (int64_t[]){-1, -1});
  onnx_output(&w, "z", TP_F32, 2, (int64_t[]){-1, 2});
  onnx_finish(&w);
  return open_writer(&w, options);
}

/* An output whose size only its data decide. */
static void late_output(void) {
  uint32_t model = open_late("max=4");
  fixture f = make_fixture(model, 4, 1, 3, (uint64_t[]){8, 8, 8});
  for (int32_t size = 1; size <= 7; size++) {
    for (uint32_t row = 0; row < 2; row++) {
      set_row(&f, row, 1, row);
      put(&f, row, 0, 2, (float)(size + (int)row));
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 2));
    CHECK_EQUAL(size, f.batch->dims[1][0]);
    for (uint32_t row = 0; row < 2; row++) {
      float copy[8];
      check_negated(&f, row, 2, 2, (float)(size + (int)row));
      if (size <= 2) memcpy(copy, slot_data(&f, 1, row, 1), sizeof copy[0] * (size_t)size);
      else CHECK_EQUAL(TP_OK, tp_result_copy(f.batch->result, row, 0, copy, (uint64_t)size * 4));
      if (size > 2) CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
      for (int i = 0; i < size; i++) CHECK(copy[i] == (float)(size + (int)row));
    }
  }
  finish(&f);
}

/* Its memory cannot be had: that run says so and no other does. */
static void late_output_without_memory(void) {
  uint32_t model = open_late("max=4");
  fixture f = make_fixture(model, 4, 1, 3, (uint64_t[]){8, 4096, 8});
  set_row(&f, 0, 1, 0);
  for (int32_t size = 0; size < 1000; size += 333) {
    put(&f, 0, 0, 2, (float)size);
    if (size > 0) {
      fail_cuda("cuMemAllocAsync", 1, 2);
      CHECK_FAILS(TP_ERR_MEMORY, "bytes of device memory for a batch: CUDA_ERROR_OUT_OF_MEMORY (CUDA error 2",
                  tp_instance_run(f.instance, 1));
      fail_cuda(NULL, 0, 0);
    }
    for (int again = 0; again < 2; again++) {
      CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
      CHECK_EQUAL(size, f.batch->dims[1][0]);
      CHECK(size == 0 || ((float *)slot_data(&f, 1, 0, 1))[size - 1] == (float)size);
    }
  }
  finish(&f);
}

enum { THREADS = 4, RUNS = 50 };

static void *run_instance(void *argument) {
  uint32_t model = *(uint32_t *)argument;
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){12, 12});
  for (uint32_t i = 0; i < RUNS; i++) {
    uint32_t rows = 1 + i % 4;
    for (uint32_t row = 0; row < rows; row++) {
      set_row(&f, row, 1, (row + i) % FIXTURE_SLOTS);
      put(&f, (row + i) % FIXTURE_SLOTS, 0, 3, (float)(10 * i + row));
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
    for (uint32_t row = 0; row < rows; row++)
      check_negated(&f, (row + i) % FIXTURE_SLOTS, 1, 3, (float)(10 * i + row));
  }
  end_fixture(&f);
  return NULL;
}

/* All instances of a model share its engine and its one profile. */
static void threads(void) {
  onnx_writer w = negation(3);
  uint32_t model = open_writer(&w, "max=4;device_id=1;spin_us=0");
  pthread_t made[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_create(&made[i], NULL, run_instance, &model));
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(made[i], NULL));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_nothing_left();
}

int main(void) {
  need_fakes();
  batches("max=8");
  graphs();
  padding();
  fixed_batch();
  open_items();
  late_output();
  late_output_without_memory();
  threads();
  return 0;
}
