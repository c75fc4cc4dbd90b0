/* What the tests of ONNX models share: shapes as lists, and models from a writer. */
#ifndef ONNX_FIXTURE_H
#define ONNX_FIXTURE_H

#include "fixture.h"

#define DIMS(...) \
  sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]) { __VA_ARGS__ }
#define INPUT(name, ...) onnx_input(&w, name, TP_F32, DIMS(__VA_ARGS__))
#define OUTPUT(name, ...) onnx_output(&w, name, TP_F32, DIMS(__VA_ARGS__))
#define STRIDES(...) \
  sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]) { __VA_ARGS__ }

/* Opens the model; its description must hold `described`. */
static inline uint32_t model_of(onnx_writer *w, const char *described) {
  uint32_t model = 0;
  char text[4096];
  onnx_finish(w);
  CHECK_EQUAL(TP_OK, open_onnx("", w->model.data, w->model.length, &model));
  CHECK(tp_model_describe(model, text, sizeof text) > 0);
  if (strstr(text, described) == NULL) FAIL("expected %s in %s", described, text);
  onnx_free(w);
  return model;
}

static inline void finish(fixture *f) {
  end_fixture(f);
  CHECK_EQUAL(TP_OK, tp_model_close(f->model));
}

static inline void put(const fixture *f, uint32_t slot, uint32_t k, int count, float first) {
  float *data = slot_data(f, 0, slot, k);
  for (int i = 0; i < count; i++) data[i] = first + (float)i;
}

static inline void check_floats(const float *data, int count, float first, float step) {
  for (int i = 0; i < count; i++) {
    float expected = first + step * (float)i;
    if (data[i] != expected) FAIL("element %d: expected %g, got %g", i, (double)expected, (double)data[i]);
  }
}

#endif
