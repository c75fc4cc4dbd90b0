/* Shapes of ONNX models: batch kinds, several inputs and outputs, open dimensions, unplaced outputs. */
#include <unistd.h>

#include "fixture.h"

#define DIMS(...) \
  sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]) { __VA_ARGS__ }
#define INPUT(name, ...) onnx_input(&w, name, TP_F32, DIMS(__VA_ARGS__))
#define OUTPUT(name, ...) onnx_output(&w, name, TP_F32, DIMS(__VA_ARGS__))
#define STRIDES(...) \
  sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]) { __VA_ARGS__ }

/* Opens the model; its description must hold `described`. */
static uint32_t model_of(onnx_writer *w, const char *described) {
  uint32_t model = 0;
  char text[4096];
  onnx_finish(w);
  CHECK_EQUAL(TP_OK, open_onnx("", w->model.data, w->model.length, &model));
  CHECK(tp_model_describe(model, text, sizeof text) > 0);
  if (strstr(text, described) == NULL) FAIL("expected %s in %s", described, text);
  onnx_free(w);
  return model;
}

static void finish(fixture *f) {
  end_fixture(f);
  CHECK_EQUAL(TP_OK, tp_model_close(f->model));
}

static void put(const fixture *f, uint32_t slot, uint32_t k, int count, float first) {
  float *data = slot_data(f, 0, slot, k);
  for (int i = 0; i < count; i++) data[i] = first + (float)i;
}

static void check_floats(const float *data, int count, float first, float step) {
  for (int i = 0; i < count; i++) {
    float expected = first + step * (float)i;
    if (data[i] != expected) FAIL("element %d: expected %g, got %g", i, (double)expected, (double)data[i]);
  }
}

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

static void refused(onnx_writer *w, const char *part) {
  uint32_t model = 0;
  onnx_finish(w);
  CHECK_FAILS(TP_ERR_UNSUPPORTED, part, open_onnx("", w->model.data, w->model.length, &model));
  onnx_free(w);
}

static void too_much(void) {
  onnx_writer w = {0};
  char name[16], all[1024] = "";
  for (int i = 0; i < 64; i++) {
    snprintf(name, sizeof name, "i%d", i);
    INPUT(name, -1, 1);
    if (i > 0) strcat(all, " ");
    strcat(all, name);
  }
  OUTPUT("y", -1, 1);
  onnx_node(&w, "Sum", all, "y");
  refused(&w, "cannot use a model of 64 inputs and 1 outputs");

  static const float one = 1;
  OUTPUT("y", 1);
  onnx_initializer(&w, "one", TP_F32, DIMS(1), &one, sizeof one);
  onnx_node(&w, "Neg", "one", "y");
  refused(&w, "cannot use a model of 0 inputs and 1 outputs");

  INPUT("deep", -1, 1, 1, 1, 1, 1, 1, 1, 1);
  OUTPUT("y", -1, 1, 1, 1, 1, 1, 1, 1, 1);
  onnx_node(&w, "Neg", "deep", "y");
  refused(&w, "cannot use input \"deep\": it has 9 dimensions, more than 8");

  INPUT("huge", -1, (int64_t)1 << 62, 4);
  OUTPUT("y", -1, 1);
  onnx_node_int(&w, "Flatten", "huge", "y", "axis", 1);
  refused(&w, "cannot use input \"huge\": its shape has more bytes than can be addressed");
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

/* A model of which a part lies in a file of its own, found because the model came from a path. */
static void external_data(void) {
  onnx_writer w = {0};
  static const float values[] = {10, 20};
  char folder[] = "/tmp/trtpipe-test-XXXXXX", model_path[64], data_path[64], option[80];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(model_path, sizeof model_path, "%s/m.onnx", folder);
  snprintf(data_path, sizeof data_path, "%s/weights", folder);
  INPUT("x", -1, 2);
  OUTPUT("y", -1, 2);
  onnx_external(&w, "c", TP_F32, DIMS(2), "weights");
  onnx_node(&w, "Add", "x c", "y");
  onnx_finish(&w);
  FILE *file = fopen(model_path, "wb");
  CHECK(file != NULL && fwrite(w.model.data, 1, w.model.length, file) == w.model.length && fclose(file) == 0);
  file = fopen(data_path, "wb");
  CHECK(file != NULL && fwrite(values, 1, sizeof values, file) == sizeof values && fclose(file) == 0);
  snprintf(option, sizeof option, "path=%s", model_path);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_onnx(option, NULL, 0, &model));
  fixture f = make_fixture(model, 1, 1, STRIDES(8, 8));
  put(&f, 0, 0, 2, 1);
  set_row(&f, 0, 0, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  check_floats(slot_data(&f, 0, 0, 1), 2, 11, 11);
  finish(&f);
  CHECK_EQUAL(0, unlink(data_path));
  CHECK_EQUAL(TP_ERR_PARSE, open_onnx(option, NULL, 0, &model));
  CHECK_EQUAL(0, unlink(model_path));
  CHECK_EQUAL(0, rmdir(folder));
  onnx_free(&w);
}

int main(void) {
  need_onnxruntime();
  several();
  fixed_batch();
  padded_to_min_rows();
  no_batch();
  data_dependent();
  open_inner();
  unplaced(8);
  unplaced(4);
  cannot_split(2);
  cannot_split(NO_SHAPE);
  too_much();
  many_outputs();
  external_data();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
