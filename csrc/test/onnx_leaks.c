/* What ONNX Runtime gives us goes back to it: memory does not grow with models, runs and failures. */
#include "fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* From sanitizer/allocator_interface.h, which is not installed everywhere. */
size_t __sanitizer_get_current_allocated_bytes(void);
static size_t allocated_bytes(void) { return __sanitizer_get_current_allocated_bytes(); }
#else
#include <malloc.h>
static size_t allocated_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}
#endif

enum { WARM_UP = 50, ROUNDS = 400, BYTES_PER_ROUND = 64 };

static onnx_writer negation, doubling;

static void make_models(void) {
  onnx_input(&negation, "x", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_output(&negation, "y", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_output(&negation, "x", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_node(&negation, "Neg", "x", "y");
  onnx_finish(&negation);
  onnx_input(&doubling, "x", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_output(&doubling, "y", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_node_int(&doubling, "Concat", "x x", "y", "axis", 0);
  onnx_finish(&doubling);
}

static uint32_t open_writer(const onnx_writer *w, const char *options) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_onnx(options, w->model.data, w->model.length, &model));
  return model;
}

static void use(uint32_t model, uint32_t tensors, uint64_t room, int32_t expected) {
  fixture f = make_fixture(model, 4, 1, tensors, (uint64_t[]){16, room, room});
  for (uint32_t rows = 1; rows <= 4; rows++) {
    for (uint32_t row = 0; row < rows; row++) {
      set_row(&f, row, 0, row);
      memset(slot_data(&f, 0, row, 0), 0, 16);
    }
    CHECK_EQUAL(expected, tp_instance_run(f.instance, rows));
    for (uint32_t row = 0; row < rows && f.batch->result != 0; row++) {
      CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    }
  }
  end_fixture(&f);
}

static uint32_t shared[2];

static void in_slots(void) { use(shared[0], 3, 16, TP_OK); }
static void native(void) { use(shared[0], 3, 8, TP_OK); }
static void cannot_split(void) { use(shared[1], 2, 16, TP_ERR_SPLIT); }

static void own_sessions(void) {
  uint32_t model = open_writer(&negation, "session=own");
  use(model, 3, 8, TP_OK);
  use(model, 3, 16, TP_OK);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

static void refused(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_ERR_PARSE, open_onnx("", negation.model.data, negation.model.length / 2, &model));
  CHECK_EQUAL(TP_ERR_OPEN, open_onnx("path=/nowhere", NULL, 0, &model));
}

static void stays_level(const char *name, void (*round)(void)) {
  for (int i = 0; i < WARM_UP; i++) round();
  size_t before = allocated_bytes();
  for (int i = 0; i < ROUNDS; i++) round();
  size_t after = allocated_bytes();
  if (after > before + ROUNDS * BYTES_PER_ROUND) {
    FAIL("%s: %zu bytes more after %d rounds", name, after - before, ROUNDS);
  }
}

int main(void) {
  need_onnxruntime();
  make_models();
  shared[0] = open_writer(&negation, "");
  shared[1] = open_writer(&doubling, "");
  stays_level("in_slots", in_slots);
  stays_level("native", native);
  stays_level("cannot_split", cannot_split);
  stays_level("own_sessions", own_sessions);
  stays_level("refused", refused);
  CHECK_EQUAL(TP_OK, tp_model_close(shared[0]));
  CHECK_EQUAL(TP_OK, tp_model_close(shared[1]));
  onnx_free(&negation);
  onnx_free(&doubling);
  return 0;
}
