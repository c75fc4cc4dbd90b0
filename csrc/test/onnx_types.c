/* Element types of ONNX models: all that trtpipe has pass bit for bit, all others are refused by name. */
#include "fixture.h"

/* Identity has every type; these need no kernel of ONNX Runtime beyond it. */
static void passes(int dtype, uint64_t bytes) {
  onnx_writer w = {0};
  static const int64_t dims[] = {-1, 2, 3};
  onnx_input(&w, "x", dtype, 3, dims);
  onnx_output(&w, "y", dtype, 3, dims);
  onnx_node(&w, "Identity", "x", "y");
  onnx_finish(&w);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_onnx("", w.model.data, w.model.length, &model));
  char text[1024], expected[64];
  CHECK(tp_model_describe(model, text, sizeof text) > 0);
  snprintf(expected, sizeof expected, "[{\"name\":\"y\",\"dtype\":%d,\"shape\":[2,3]}]", dtype);
  CHECK(strstr(text, expected) != NULL);

  fixture f = make_fixture(model, 8, 1, 2, (uint64_t[]){6 * bytes, 6 * bytes});
  uint64_t random = (uint64_t)dtype;
  for (uint32_t row = 0; row < 5; row++) {
    set_row(&f, row, row % 3, row);
    uint8_t *data = slot_data(&f, row % 3, row, 0);
    for (uint64_t i = 0; i < 6 * bytes; i++) data[i] = (uint8_t)next_random(&random);
    for (uint64_t i = 0; dtype == TP_BOOL && i < 6; i++) data[i] &= 1;
  }
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 5));
  for (uint32_t row = 0; row < 5; row++) {
    CHECK_EQUAL(0, memcmp(slot_data(&f, row % 3, row, 0), slot_data(&f, row % 3, row, 1), 6 * bytes));
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  onnx_free(&w);
}

static void refused(onnx_writer *w, const char *part) {
  uint32_t model = 0;
  onnx_finish(w);
  CHECK_FAILS(TP_ERR_UNSUPPORTED, part, open_onnx("", w->model.data, w->model.length, &model));
  CHECK_EQUAL(0, model);
  onnx_free(w);
}

static void others_are_refused(void) {
  static const int64_t dims[] = {-1, 2};
  onnx_writer w = {0};
  onnx_input(&w, "text", 8, 2, dims);
  onnx_output(&w, "y", 8, 2, dims);
  onnx_node(&w, "Identity", "text", "y");
  refused(&w, "cannot use input \"text\": its element type is string");

  onnx_input(&w, "x", TP_F32, 2, dims);
  onnx_output(&w, "label", 8, 2, dims);
  onnx_node_int(&w, "Cast", "x", "label", "to", 8);
  refused(&w, "cannot use output \"label\": its element type is string");

  onnx_sequence(&w, 0, "list", TP_F32);
  onnx_output(&w, "y", TP_I64, 0, NULL);
  onnx_node(&w, "SequenceLength", "list", "y");
  refused(&w, "cannot use input \"list\": its type is a sequence");

  onnx_input(&w, "x", TP_F32, 2, dims);
  onnx_sequence(&w, 1, "list", TP_F32);
  onnx_node(&w, "SequenceConstruct", "x", "list");
  refused(&w, "cannot use output \"list\": its type is a sequence");
}

int main(void) {
  need_onnxruntime();
  static const struct {
    int dtype;
    uint64_t bytes;
  } dtypes[] = {{TP_F32, 4},  {TP_U8, 1},  {TP_I8, 1},  {TP_U16, 2}, {TP_I16, 2}, {TP_I32, 4}, {TP_I64, 8},
                {TP_BOOL, 1}, {TP_F16, 2}, {TP_F64, 8}, {TP_U32, 4}, {TP_U64, 8}, {TP_BF16, 2}};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) passes(dtypes[i].dtype, dtypes[i].bytes);
  others_are_refused();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
