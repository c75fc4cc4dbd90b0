/* Callers' slots that the device copies itself: which are pinned, when, and that none stays pinned. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <pthread.h>
#include <sys/mman.h>

#include "../memory.h"
#include "trt_fixture.h"

enum { COLUMNS = 8192, ITEM = COLUMNS * 4, SLOT = 2 * ITEM };

static uint32_t open_negation(const char *options) {
  onnx_writer w = negation(COLUMNS);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_trt(options, w.model.data, w.model.length, &model));
  onnx_free(&w);
  return model;
}

static uint8_t *map(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

/* Callers' memory is mapped, as a runtime's large buffers are, and unmapped the moment that it may be. */
static fixture make(uint32_t model, uint32_t max_rows, uint32_t min_rows) {
  fixture f = make_fixture(model, max_rows, min_rows, 2, (uint64_t[]){ITEM, ITEM});
  for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) {
    free(f.payloads[c]);
    f.payloads[c] = map(f.payload_bytes);
    CHECK_EQUAL(TP_OK,
                tp_instance_bind_channel(f.instance, c, f.payloads[c], f.payload_bytes, FIXTURE_SLOTS));
  }
  return f;
}

static void end(fixture *f) {
  CHECK_EQUAL(TP_OK, tp_instance_destroy(f->instance));
  for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) CHECK_EQUAL(0, munmap(f->payloads[c], f->payload_bytes));
  free(f->batch);
}

static void finish(fixture *f) {
  end(f);
  CHECK_EQUAL(0, pinned_bytes());
  CHECK_EQUAL(TP_OK, tp_model_close(f->model));
  check_nothing_left();
}

static void put(const fixture *f, uint32_t row, uint32_t channel, uint32_t slot) {
  float *in = slot_data(f, channel, slot, 0), *out = slot_data(f, channel, slot, 1);
  set_row(f, row, channel, slot);
  for (int i = 0; i < COLUMNS; i++) in[i] = (float)(1 + i + 100 * (int)row);
  memset(out, 0, ITEM);
}

static void check_row(const fixture *f, uint32_t row, uint32_t channel, uint32_t slot) {
  const float *out = slot_data(f, channel, slot, 1);
  for (int i = 0; i < COLUMNS; i++) {
    if (out[i] != -(float)(1 + i + 100 * (int)row)) FAIL("row %u, element %d: %g", row, i, (double)out[i]);
  }
}

/* Runs rows of channel 1 in these slots, and answers how many copies were direct. */
static int run_slots(const fixture *f, uint32_t rows, const uint32_t *slots) {
  int before = direct_copies();
  for (uint32_t row = 0; row < rows; row++) put(f, row, 1, slots[row]);
  CHECK_EQUAL(TP_OK, tp_instance_run(f->instance, rows));
  for (uint32_t row = 0; row < rows; row++) check_row(f, row, 1, slots[row]);
  return direct_copies() - before;
}

/* Batches of all sizes: neighbours are one copy each way, slots apart one each; unused channels stay free. */
static void batches(const char *options) {
  fixture f = make(open_negation(options), 8, 1);
  CHECK_EQUAL(0, pinned_bytes());
  for (uint32_t rows = 1; rows <= 8; rows++) {
    uint32_t near[8], apart[8];
    for (uint32_t row = 0; row < rows; row++) {
      near[row] = 3 + row;
      apart[row] = 31 - 2 * row;
    }
    CHECK_EQUAL(2, run_slots(&f, rows, near));
    CHECK_EQUAL(2 * rows, run_slots(&f, rows, apart));
    CHECK_EQUAL(f.payload_bytes, pinned_bytes());
  }
  finish(&f);
}

/* Slots beyond the limit go through memory of ours, in the same batch. */
static void limits(void) {
  fixture f = make(open_negation("max=8;pinned_bytes=200000"), 8, 1);
  CHECK_EQUAL(2, run_slots(&f, 8, (uint32_t[]){9, 0, 1, 2, 3, 4, 5, 31}));
  CHECK_EQUAL(3 * SLOT, pinned_bytes());
  CHECK_EQUAL(2 * 3, run_slots(&f, 6, (uint32_t[]){2, 30, 1, 31, 29, 0}));
  CHECK_EQUAL(2, run_slots(&f, 4, (uint32_t[]){1, 2, 3, 4}));
  CHECK_EQUAL(0, run_slots(&f, 2, (uint32_t[]){3, 4}));
  finish(&f);
  static const char *const none[] = {"max=4;pinned_bytes=0", "max=4;pinned_bytes=65535"};
  for (int i = 0; i < 2; i++) {
    fixture g = make(open_negation(none[i]), 4, 1);
    CHECK_EQUAL(0, run_slots(&g, 3, (uint32_t[]){0, 1, 2}));
    CHECK_EQUAL(0, pinned_bytes());
    finish(&g);
  }
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"pinned_bytes\": expected a number from 0 to 4294967295, got \"4294967296\"",
              open_trt("pinned_bytes=4294967296", "x", 1, &(uint32_t){0}));
}

/* What is padded is filled on the device. */
static void padding(void) {
  fixture f = make(open_negation("min=3;max=4"), 4, 3);
  for (uint32_t rows = 1; rows <= 4; rows++) CHECK_EQUAL(2, run_slots(&f, rows, (uint32_t[]){4, 5, 6, 7}));
  fail_cuda("cuMemsetD8Async", 1, 1);
  CHECK_FAILS(TP_ERR_EXECUTION, "cannot copy an input to the device", tp_instance_run(f.instance, 2));
  fail_cuda(NULL, 0, 0);
  CHECK_EQUAL(2, run_slots(&f, 2, (uint32_t[]){4, 5}));
  finish(&f);
}

/* Where the system refuses, all goes as it would without; what was pinned of the channel is given back. */
static void refused(void) {
  static const int errors[] = {1, 2, 304, 712, 801};
  for (int i = 0; i < 5; i++) {
    for (int n = 1; n <= 2; n++) {
      fixture f = make(open_negation("max=4;pinned_bytes=1000000"), 4, 1);
      fail_cuda("cuMemHostRegister_v2", n, errors[i]);
      CHECK_EQUAL(0, run_slots(&f, 3, (uint32_t[]){0, 1, 2}));
      CHECK_EQUAL(0, pinned_bytes());
      /* It is not tried again for each batch. */
      CHECK_EQUAL(0, run_slots(&f, 3, (uint32_t[]){0, 1, 2}));
      fail_cuda(NULL, 0, 0);
      finish(&f);
    }
  }
}

/* A failed batch leaves no copy behind that would still use the slots. */
static void failures(void) {
  static const char *const names[] = {"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuEventRecord"};
  for (int i = 0; i < 3; i++) {
    for (int n = 1; n <= (i < 2 ? 3 : 1); n++) {
      fixture f = make(open_negation("max=4"), 4, 1);
      run_slots(&f, 4, (uint32_t[]){1, 3, 5, 7});
      fail_cuda(names[i], n, 1);
      CHECK_EQUAL(TP_ERR_EXECUTION, tp_instance_run(f.instance, 4));
      fail_cuda(NULL, 0, 0);
      if (n % 2 == 0) CHECK_EQUAL(2 * 4, run_slots(&f, 4, (uint32_t[]){1, 3, 5, 7}));
      finish(&f);
    }
  }
  /* Each request for memory of our own fails once. */
  int32_t status = TP_ERR_MEMORY;
  uint32_t model = open_negation("max=4");
  for (uint64_t n = 1; status != TP_OK; n++) {
    fixture f = make(model, 4, 1);
    for (uint32_t row = 0; row < 4; row++) put(&f, row, 2, row);
    tp_alloc_fail_at(n);
    status = tp_instance_run(f.instance, 4);
    tp_alloc_fail_at(0);
    if (status != TP_OK) CHECK_EQUAL(TP_ERR_MEMORY, status);
    if (status == TP_OK) CHECK(n > 2);
    end(&f);
    CHECK_EQUAL(0, pinned_bytes());
  }
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_nothing_left();
}

/* A binding that is taken back or replaced gives its pins back before the call returns. */
static void rebinding(void) {
  fixture f = make(open_negation("max=4"), 4, 1);
  run_slots(&f, 1, (uint32_t[]){0});
  put(&f, 0, 0, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  CHECK_EQUAL(2 * f.payload_bytes, pinned_bytes());
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(f.instance, 0, NULL, 0, 0));
  CHECK_EQUAL(f.payload_bytes, pinned_bytes());
  CHECK_EQUAL(0, munmap(f.payloads[0], f.payload_bytes));
  f.payloads[0] = map(f.payload_bytes);
  CHECK_EQUAL(TP_OK,
              tp_instance_bind_channel(f.instance, 1, f.payloads[0], f.payload_bytes, FIXTURE_SLOTS));
  CHECK_EQUAL(0, pinned_bytes());
  finish(&f);
}

/* Instances of two devices share what is pinned; the last one gives it back. */
static void sharing(void) {
  fixture f = make(open_negation("max=4"), 4, 1);
  fixture g = make(open_negation("max=4;device_id=1"), 4, 1);
  uint8_t *own = g.payloads[1];
  g.payloads[1] = f.payloads[1];
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(g.instance, 1, g.payloads[1], g.payload_bytes, FIXTURE_SLOTS));
  CHECK_EQUAL(2, run_slots(&f, 2, (uint32_t[]){0, 1}));
  CHECK_EQUAL(2, run_slots(&g, 2, (uint32_t[]){0, 1}));
  CHECK_EQUAL(f.payload_bytes, pinned_bytes());
  CHECK_EQUAL(TP_OK, tp_instance_bind_layout(f.instance, f.offsets, f.strides, 2));
  CHECK_EQUAL(f.payload_bytes, pinned_bytes());
  CHECK_EQUAL(2, run_slots(&g, 2, (uint32_t[]){2, 3}));
  /* Memory that is pinned in part already goes through memory of ours. */
  uint64_t half = f.payload_bytes / 2;
  fixture h = make(f.model, 4, 1);
  uint8_t *wide = map(2 * f.payload_bytes);
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(h.instance, 0, wide, f.payload_bytes, FIXTURE_SLOTS));
  uint8_t *before = h.payloads[1];
  h.payloads[1] = wide + half;
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(h.instance, 1, wide + half, f.payload_bytes, FIXTURE_SLOTS));
  set_row(&h, 0, 0, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(h.instance, 1));
  CHECK_EQUAL(2 * f.payload_bytes, pinned_bytes());
  int direct = direct_copies();
  put(&h, 0, 1, 5);
  CHECK_EQUAL(TP_OK, tp_instance_run(h.instance, 1));
  check_row(&h, 0, 1, 5);
  CHECK_EQUAL(direct, direct_copies());
  h.payloads[1] = before;
  end(&h);
  CHECK_EQUAL(f.payload_bytes, pinned_bytes());
  CHECK_EQUAL(0, munmap(wide, 2 * f.payload_bytes));
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(g.instance, 1, own, g.payload_bytes, FIXTURE_SLOTS));
  CHECK_EQUAL(0, pinned_bytes());
  g.payloads[1] = own;
  end(&g);
  CHECK_EQUAL(TP_OK, tp_model_close(g.model));
  finish(&f);
}

enum { THREADS = 4, ROUNDS = 12 };

static uint32_t shared_model;
static fixture shared;

/* Instances come and go over one caller's memory, each with slots of its own. */
static void *come_and_go(void *argument) {
  uint32_t first = *(uint32_t *)argument;
  for (int round = 0; round < ROUNDS; round++) {
    fixture f = make(shared_model, 4, 1);
    uint8_t *own = f.payloads[1];
    f.payloads[1] = shared.payloads[1];
    CHECK_EQUAL(TP_OK,
                tp_instance_bind_channel(f.instance, 1, f.payloads[1], f.payload_bytes, FIXTURE_SLOTS));
    for (uint32_t row = 0; row < 4; row++) put(&f, row, 1, first + row);
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 4));
    for (uint32_t row = 0; row < 4; row++) check_row(&f, row, 1, first + row);
    CHECK_EQUAL(TP_OK, tp_instance_bind_channel(f.instance, 1, NULL, 0, 0));
    f.payloads[1] = own;
    end(&f);
  }
  return NULL;
}

static void threads(void) {
  shared_model = open_negation("max=4");
  shared = make(shared_model, 4, 1);
  pthread_t made[THREADS];
  uint32_t firsts[THREADS];
  for (uint32_t i = 0; i < THREADS; i++) {
    firsts[i] = 4 * i;
    CHECK_EQUAL(0, pthread_create(&made[i], NULL, come_and_go, &firsts[i]));
  }
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(made[i], NULL));
  CHECK_EQUAL(0, pinned_bytes());
  finish(&shared);
}

/* The context is lost while memory is pinned, and when it is about to be. */
static void device_lost(void) {
  fixture f = make(open_negation("max=4"), 4, 1);
  run_slots(&f, 2, (uint32_t[]){0, 1});
  put(&f, 0, 2, 0);
  fail_cuda("cuMemHostRegister_v2", 1, 700);
  CHECK_FAILS(TP_ERR_DEVICE, "cannot pin callers' memory: CUDA_ERROR_ILLEGAL_ADDRESS (CUDA error 700",
              tp_instance_run(f.instance, 1));
  CHECK_FAILS(TP_ERR_DEVICE, "an earlier error has made it unusable", tp_instance_run(f.instance, 1));
  end(&f);
  CHECK_EQUAL(0, pinned_bytes());
  fail_cuda(NULL, 0, 0);
  CHECK_EQUAL(TP_OK, tp_model_close(f.model));
  check_nothing_left();
}

int main(void) {
  need_fakes();
  batches("max=8");
  batches("max=8;cuda_graph=1");
  limits();
  padding();
  refused();
  failures();
  rebinding();
  sharing();
  threads();
  device_lost();
  return 0;
}
