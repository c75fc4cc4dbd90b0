/* ONNX models that are too large in some way, and one that lies in two files. */
#include <unistd.h>

#include "onnx_fixture.h"

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
  too_much();
  external_data();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
