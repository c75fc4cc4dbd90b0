/* What is refused before it is called: other versions, other tables, machines without a device. */
#include "trt_fixture.h"

static int32_t open_negation(void) {
  onnx_writer w = negation(2);
  uint32_t model = 0;
  int32_t status = open_trt("", w.model.data, w.model.length, &model);
  onnx_free(&w);
  if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_model_close(model));
  return status;
}

/* Nothing is remembered of a failure: each may be mended while the process runs. */
static void versions(void) {
  static const char *const refused[][2] = {
      {"8601", "it is TensorRT 8.6.1; 10, 11 or TensorRT for RTX 1.7 is needed"},
      {"120000", "it is TensorRT 12.0.0; 10, 11"},
      {"10801", "it is TensorRT for RTX 1.8.1; 10, 11"},
      {"10600", "it is TensorRT for RTX 1.6.0; 10, 11"},
      {"0", "it is TensorRT 0.0.0; 10, 11"},
      {"-5", "10, 11 or TensorRT for RTX 1.7 is needed"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    setenv("FAKE_TRT_VERSION", refused[i][0], 1);
    CHECK_FAILS(TP_ERR_UNSUPPORTED, refused[i][1], open_negation());
    CHECK_ERROR("found driver for CUDA 13.0 with 2 devices (0: Fake GPU 0, 1: Fake GPU 1)");
  }
  unsetenv("FAKE_TRT_VERSION");
}

static void devices(void) {
  setenv("FAKE_CUDA_INIT", "100", 1);
  CHECK_FAILS(TP_ERR_UNSUPPORTED,
              "no usable CUDA device (the driver is present and answers CUDA_ERROR_NO_DEVICE)",
              open_negation());
  unsetenv("FAKE_CUDA_INIT");
  setenv("FAKE_CUDA_DEVICES", "0", 1);
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "the driver is present and shows 0 devices", open_negation());
  CHECK_ERROR("found TensorRT");
  unsetenv("FAKE_CUDA_DEVICES");
  setenv("FAKE_CUDA_POOLS", "0", 1);
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "it has no memory pools", open_negation());
  unsetenv("FAKE_CUDA_POOLS");
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  need_fakes();
  if (strcmp(what, "strange") == 0) {
    CHECK_FAILS(TP_ERR_UNSUPPORTED, "its runtime does not answer as TensorRT's does", open_negation());
    return 0;
  }
  if (strcmp(what, "other") == 0) {
    CHECK_FAILS(TP_ERR_UNSUPPORTED,
                "cannot start TensorRT's runtime: expected an object of the class N8nvinfer14apiv8VRuntimeE",
                open_negation());
    return 0;
  }
  if (strcmp(what, "versions") == 0) versions();
  else devices();
  CHECK_EQUAL(TP_OK, open_negation());
  check_nothing_left();
  return 0;
}
