/* Outputs of ONNX models: open and data-dependent sizes, unplaced ones, those that cannot be split. */
#include "onnx_fixture.h"

/* How many numbers come out depends on the numbers that go in. */
static void data_dependent(void) {
  onnx_writer w = {0};
  INPUT("x", 4, 6);
  onnx_output(&w, "y", TP_I64, DIMS(2, -1));
  onnx_node(&w, "NonZero", "x", "y");
  uint32_t model = model_of(&w, "\"batch\":\"none\"");
  fixture f = make_fixture(model, 1, 1, STRIDES(96, 64));
  for (int count = 0; count <= 24; count++) {
    float *x = slot_data(&f, 0, 0, 0);
    for (int i = 0; i < 24; i++) x[i] = i < count;
    set_row(&f, 0, 0, 0);
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
    CHECK_EQUAL(2, f.batch->dims[1][0]);
    CHECK_EQUAL(count, f.batch->dims[1][1]);
    CHECK_EQUAL(-1, f.batch->dims[1][2]);
    CHECK_EQUAL(count > 4, f.batch->native_outputs);
    int64_t found[48];
    if (count > 4) {
      CHECK_EQUAL(TP_OK, tp_result_copy(f.batch->result, 0, 0, found, (uint64_t)count * 16));
      CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    } else {
      memcpy(found, slot_data(&f, 0, 0, 1), (size_t)count * 16);
    }
    for (int i = 0; i < count; i++) {
      CHECK_EQUAL(i / 6, found[i]);
      CHECK_EQUAL(i % 6, found[count + i]);
    }
  }
  CHECK_EQUAL(2, tp_handle_count());
  finish(&f);
}

/* Open inner dimensions: the same instance runs batches of several shapes, some too large for the slots. */
static void open_inner(void) {
  onnx_writer w = {0};
  INPUT("x", -1, -1, 2);
  OUTPUT("y", -1, 2, -1);
  onnx_node_ints(&w, "Transpose", "x", "y", "perm", DIMS(0, 2, 1));
  uint32_t model =
      model_of(&w, "\"shape\":[-1,2]}],\"outputs\":[{\"name\":\"y\",\"dtype\":1,\"shape\":[2,-1]}]");
  fixture f = make_fixture(model, 4, 2, STRIDES(80, 40));
  f.batch->flags = TP_BATCH_DIMS;
  f.batch->dims[0][1] = 2;
  for (int32_t size = 10; size >= 0; size--) {
    f.batch->dims[0][0] = size;
    for (uint32_t row = 0; row < 3; row++) {
      set_row(&f, row, 0, 2 * row);
      put(&f, 2 * row, 0, 2 * size, 100 * (float)row);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 3));
    CHECK_EQUAL(2, f.batch->dims[1][0]);
    CHECK_EQUAL(size, f.batch->dims[1][1]);
    CHECK_EQUAL(size > 5, f.batch->native_outputs);
    for (uint32_t row = 0; row < 3; row++) {
      float item[20];
      if (size > 5) CHECK_EQUAL(TP_OK, tp_result_copy(f.batch->result, row, 0, item, 8 * (uint64_t)size));
      else memcpy(item, slot_data(&f, 0, 2 * row, 1), 8 * (size_t)size);
      check_floats(item, size, 100 * (float)row, 2);
      check_floats(item + size, size, 100 * (float)row + 1, 2);
      if (size > 5) CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    }
  }
  finish(&f);
}

/* Outputs that ONNX Runtime leaves unwritten if it gets memory for them: an input, and a name used twice. */
static void unplaced(uint64_t room) {
  onnx_writer w = {0};
  INPUT("x", -1, 2);
  OUTPUT("x", -1, 2);
  OUTPUT("y", -1, 2);
  OUTPUT("y", -1, 2);
  onnx_node(&w, "Neg", "x", "y");
  fixture f = make_fixture(model_of(&w, "\"batch\":\"dynamic\""), 4, 1, STRIDES(8, room, room, room));
  for (int round = 0; round < 2; round++) {
    for (uint32_t row = 0; row < 3; row++) {
      set_row(&f, row, 0, row);
      put(&f, row, 0, 2, (float)(row + 1));
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 3));
    CHECK_EQUAL(room < 8 ? 7 : 0, f.batch->native_outputs);
    /* The next batch must not change what a result holds. */
    uint32_t result = f.batch->result;
    if (result != 0) {
      for (uint32_t row = 0; row < 3; row++) put(&f, row, 0, 2, 99);
      CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 3));
      for (int i = 0; i < 3; i++) CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    }
    for (uint32_t row = 0; row < 3; row++) {
      for (uint32_t output = 0; output < 3; output++) {
        float item[2];
        if (result != 0) CHECK_EQUAL(TP_OK, tp_result_copy(result, row, output, item, 8));
        else memcpy(item, slot_data(&f, 0, row, 1 + output), 8);
        check_floats(item, 2, output == 0 ? (float)(row + 1) : -(float)(row + 1), output == 0 ? 1 : -1);
      }
      if (result != 0) CHECK_EQUAL(TP_OK, tp_result_release(result));
    }
  }
  finish(&f);
}

/* Twice as many rows come out as went in, whether the model admits it or not. */
static void cannot_split(int rank) {
  onnx_writer w = {0};
  INPUT("x", -1, 2);
  if (rank == NO_SHAPE) onnx_output(&w, "y", TP_F32, NO_SHAPE, NULL);
  else OUTPUT("y", -1, 2);
  onnx_node_int(&w, "Concat", "x x", "y", "axis", 0);
  fixture f = make_fixture(model_of(&w, "\"batch\":\"dynamic\""), 4, 1, STRIDES(8, 16));
  for (uint32_t row = 0; row < 4; row++) {
    set_row(&f, row, 0, row);
    put(&f, row, 0, 2, 0);
  }
  CHECK_FAILS(TP_ERR_SPLIT, "cannot split output \"y\": first dimension is 8 for a batch of 4",
              tp_instance_run(f.instance, 4));
  CHECK_EQUAL(0, f.batch->result);
  CHECK_EQUAL(2, tp_handle_count());
  finish(&f);
}

/* Only 32 outputs can stay in native memory. */
static void many_outputs(void) {
  onnx_writer w = {0};
  uint64_t strides[34], offsets[34] = {0};
  char name[16];
  INPUT("x", -1, 1);
  for (int i = 0; i < 33; i++) {
    snprintf(name, sizeof name, "y%d", i);
    OUTPUT(name, -1, 1);
    onnx_node(&w, "Neg", "x", name);
  }
  for (int k = 0; k < 34; k++) strides[k] = k == 32 ? 0 : 4;
  fixture f = make_fixture(model_of(&w, "\"batch\":\"dynamic\""), 2, 1, 34, strides);
  for (uint32_t row = 0; row < 2; row++) {
    set_row(&f, row, 0, row);
    put(&f, row, 0, 1, (float)(row + 1));
  }
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 2));
  CHECK_EQUAL((uint32_t)1 << 31, f.batch->native_outputs);
  for (uint32_t row = 0; row < 2; row++) {
    float item = 0;
    CHECK_EQUAL(TP_OK, tp_result_copy(f.batch->result, row, 31, &item, 4));
    check_floats(&item, 1, -(float)(row + 1), 0);
    check_floats(slot_data(&f, 0, row, 33), 1, -(float)(row + 1), 0);
    CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
  }
  strides[33] = 0;
  CHECK_FAILS(TP_ERR_ARGUMENT, "only the first 32 outputs",
              tp_instance_bind_layout(f.instance, offsets, strides, 34));
  finish(&f);
}

int main(void) {
  need_onnxruntime();
  data_dependent();
  open_inner();
  unplaced(8);
  unplaced(4);
  cannot_split(2);
  cannot_split(NO_SHAPE);
  many_outputs();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
