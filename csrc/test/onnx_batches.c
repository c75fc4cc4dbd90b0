/* How rows of ONNX models are batched: open, fixed and no batch dimension, padding, several tensors. */
#include "onnx_fixture.h"

/* Two inputs and three outputs, each with a type and a size of its own. */
static void several(void) {
  onnx_writer w = {0};
  static const float zero = 0;
  INPUT("a", -1, 3);
  onnx_input(&w, "b", TP_I32, DIMS(-1, 2));
  OUTPUT("n", -1, 3);
  onnx_output(&w, "c", TP_I64, DIMS(-1, 2));
  onnx_output(&w, "p", TP_BOOL, DIMS(-1, 3));
  onnx_initializer(&w, "zero", TP_F32, 0, NULL, &zero, sizeof zero);
  onnx_node(&w, "Neg", "a", "n");
  onnx_node_int(&w, "Cast", "b", "c", "to", TP_I64);
  onnx_node(&w, "Greater", "a zero", "p");
  fixture f = make_fixture(model_of(&w, "\"batch\":\"dynamic\""), 8, 1, STRIDES(12, 8, 12, 16, 3));
  for (uint32_t rows = 1; rows <= 8; rows++) {
    for (uint32_t row = 0; row < rows; row++) {
      set_row(&f, row, 0, row * 3);
      put(&f, row * 3, 0, 3, (float)row - 1);
      memcpy(slot_data(&f, 0, row * 3, 1), (int32_t[]){-(int32_t)row, 100 + (int32_t)row}, 8);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
    for (uint32_t row = 0; row < rows; row++) {
      int64_t c[2];
      memcpy(c, slot_data(&f, 0, row * 3, 3), sizeof c);
      CHECK_EQUAL(-(int64_t)row, c[0]);
      CHECK_EQUAL(100 + row, c[1]);
      check_floats(slot_data(&f, 0, row * 3, 2), 3, 1 - (float)row, -1);
      const uint8_t *p = slot_data(&f, 0, row * 3, 4);
      for (int i = 0; i < 3; i++) CHECK_EQUAL((int)row - 1 + i > 0, p[i]);
    }
  }
  finish(&f);
}

/* y = x + the sum over the batch: rows that were padded in must be zeros. */
static void add_sum(onnx_writer *w) {
  static const int64_t axis = 0;
  onnx_initializer(w, "axis", TP_I64, DIMS(1), &axis, sizeof axis);
  onnx_node_int(w, "ReduceSum", "x axis", "s", "keepdims", 1);
  onnx_node(w, "Add", "x s", "y");
}

static void run_padded(fixture *f) {
  for (uint32_t rows = 4; rows >= 1; rows--) {
    float sum = 0;
    for (uint32_t row = 0; row < rows; row++) {
      set_row(f, row, 0, row);
      put(f, row, 0, 2, (float)(10 * row + 1));
      sum += (float)(10 * row + 1);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f->instance, rows));
    for (uint32_t row = 0; row < rows; row++) {
      const float *y = slot_data(f, 0, row, 1);
      CHECK_EQUAL((float)(10 * row + 1) + sum, y[0]);
      CHECK_EQUAL((float)(10 * row + 2) + sum + (float)rows, y[1]);
    }
  }
  finish(f);
}

static void fixed_batch(void) {
  onnx_writer w = {0};
  uint32_t instance = 0;
  INPUT("x", 4, 2);
  OUTPUT("y", 4, 2);
  add_sum(&w);
  uint32_t model = model_of(
      &w, "\"batch\":\"fixed\",\"batch_size\":4,\"inputs\":[{\"name\":\"x\",\"dtype\":1,\"shape\":[2]}]");
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "the model's batch dimension is 4",
              tp_instance_create(model, 5, 1, &instance));
  fixture f = make_fixture(model, 4, 1, STRIDES(8, 8));
  run_padded(&f);
}

static void padded_to_min_rows(void) {
  onnx_writer w = {0};
  INPUT("x", -1, 2);
  OUTPUT("y", -1, 2);
  add_sum(&w);
  fixture f = make_fixture(model_of(&w, "\"batch\":\"dynamic\""), 4, 3, STRIDES(8, 8));
  run_padded(&f);
}

/* No common batch dimension: one row a run, shapes are whole. */
static void no_batch(void) {
  onnx_writer w = {0};
  uint32_t instance = 0;
  INPUT("x", 3);
  OUTPUT("y", 3);
  onnx_node(&w, "Neg", "x", "y");
  uint32_t model = model_of(
      &w, "\"batch\":\"none\",\"batch_size\":1,\"inputs\":[{\"name\":\"x\",\"dtype\":1,\"shape\":[3]}]");
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "one row at a time", tp_instance_create(model, 2, 1, &instance));
  fixture f = make_fixture(model, 1, 1, STRIDES(12, 12));
  put(&f, 9, 0, 3, 5);
  set_row(&f, 0, 0, 9);
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  check_floats(slot_data(&f, 0, 9, 1), 3, -5, -1);
  finish(&f);

  /* A scalar. */
  onnx_input(&w, "x", TP_F32, 0, NULL);
  onnx_output(&w, "y", TP_F32, 0, NULL);
  onnx_node(&w, "Neg", "x", "y");
  f = make_fixture(model_of(&w, "\"batch\":\"none\""), 1, 1, STRIDES(4, 4));
  put(&f, 0, 0, 1, 7);
  set_row(&f, 0, 0, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  check_floats(slot_data(&f, 0, 0, 1), 1, -7, 0);
  finish(&f);
}

int main(void) {
  need_onnxruntime();
  several();
  fixed_batch();
  padded_to_min_rows();
  no_batch();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
