/* Options and models that TensorrtTensor refuses, each with its reason. */
#include "trt_fixture.h"

static int32_t open_writer(onnx_writer *w, const char *options) {
  uint32_t model = 0;
  onnx_finish(w);
  int32_t status = open_trt(options, w->model.data, w->model.length, &model);
  onnx_free(w);
  if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_model_close(model));
  return status;
}

static int32_t open_negation(const char *options) {
  onnx_writer w = negation(2);
  uint32_t model = 0;
  int32_t status = open_trt(options, w.model.data, w.model.length, &model);
  onnx_free(&w);
  if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_model_close(model));
  return status;
}

static void options(void) {
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected fp32, tf32, fp16 or bf16, got \"fp17\"",
              open_negation("precision=fp17"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"device_id\": expected a number below 2", open_negation("device_id=2"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "from 0 to 5, got \"6\"", open_negation("optimization_level=6"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got \"0\"", open_negation("max_workspace_size=0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected any or current", open_negation("compute_capability=90"));
  static const char *const limits[] = {
      "", "0", "-1", "4x", "4x3x", "x4", "4,", "4x-1", "4 ", "3000000000", "1x1x1x1x1x1x1x1x1"};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    char text[64];
    snprintf(text, sizeof text, "max=%s", limits[i]);
    CHECK_FAILS(TP_ERR_ARGUMENT, "\"max\": expected a number of rows, or full shapes", open_negation(text));
  }
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected a shape that fits -1x2 of input \"x\"", open_negation("max=4x3"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected 1 shapes, one for each input, got 2", open_negation("max=4x2,4x2"));
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "cannot make an optimization profile", open_negation("min=4x2;max=2x2"));
  CHECK_EQUAL(TP_OK, open_negation("max=4x2;precision=tf32;compute_capability=current;optimization_level=0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected a path or the model's bytes, got both",
              open_negation("path=x.onnx"));
  if (family() == 10) CHECK_EQUAL(TP_OK, open_negation("precision=fp16"));
  else CHECK_FAILS(TP_ERR_TYPES, "convert the model to bfloat16", open_negation("precision=bf16"));
  check_nothing_left();
}

static void models(void) {
  uint32_t model = 0;
  CHECK_FAILS(TP_ERR_PARSE, "TensorRT refused the model: Failed to parse the ONNX model.",
              open_trt("", "nonsense", 8, &model));
  CHECK_FAILS(TP_ERR_OPEN, "No such file", open_trt("path=/nowhere/model.onnx", NULL, 0, &model));
  onnx_writer w = {0};
  onnx_input(&w, "x", TP_F32, 2, (int64_t[]){-1, 2});
  onnx_output(&w, "y", TP_F32, 2, (int64_t[]){-1, 2});
  onnx_node(&w, "Neg", "x", "t");
  onnx_node(&w, "Wish", "t", "y");
  CHECK_FAILS(TP_ERR_PARSE, "node 1 (Wish): No importer registered for op", open_writer(&w, ""));

  static const struct {
    const char *input;
    int type;
    const char *says;
  } cases[] = {{"shape_x", TP_F32, "its values decide shapes, which TensorRT needs beforehand"},
               {"host_x", TP_F32, "wants them in host memory"},
               {"chw4_x", TP_F32, "its elements are not in row-major order"},
               {"x", TP_U64, "its element type is TensorRT's number 6"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    w = (onnx_writer){0};
    onnx_input(&w, cases[i].input, cases[i].type, 2, (int64_t[]){-1, 2});
    onnx_output(&w, "y", cases[i].type, 2, (int64_t[]){-1, 2});
    onnx_node(&w, "Identity", cases[i].input, "y");
    CHECK_FAILS(TP_ERR_UNSUPPORTED, cases[i].says, open_writer(&w, ""));
  }

  w = (onnx_writer){0};
  onnx_input(&w, "x", TP_F32, 2, (int64_t[]){-1, -1});
  onnx_output(&w, "y", TP_F32, 2, (int64_t[]){-1, -1});
  onnx_node(&w, "Neg", "x", "y");
  CHECK_FAILS(TP_ERR_ARGUMENT, "input \"x\" has the shape -1x-1, got 4", open_writer(&w, "max=4"));
  check_nothing_left();
}

int main(void) {
  need_fakes();
  options();
  models();
  return 0;
}
