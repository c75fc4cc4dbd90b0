/* The probe of TensorRT: it never opens a model, and says what is there and what is not. */
#include "fixture.h"

int main(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_ERR_UNSUPPORTED, open_model("backend=TensorrtTensor;path=model.onnx", NULL, 0, &model));
  CHECK_EQUAL(0, model);
  char text[4096];
  tp_last_error(text, sizeof text);
  if (strstr(text, "no CUDA driver") != NULL) {
    CHECK(strstr(text, "\"libcuda.so.1\": ") != NULL);
  } else {
    CHECK(strstr(text, "device") != NULL);
  }
  if (strstr(text, "no TensorRT library") != NULL) {
    CHECK(strstr(text, "\"libnvinfer.so.11\": ") != NULL);
    CHECK(strstr(text, "\"libnvinfer.so.10\": ") != NULL);
    CHECK(strstr(text, "\"libtensorrt_rtx.so.1\": ") != NULL);
  } else {
    CHECK(strstr(text, "found ") != NULL);
  }
  CHECK_FAILS(TP_ERR_ARGUMENT, "TensorrtTensor knows backend, path",
              open_model("backend=TensorrtTensor;threads=1", NULL, 0, &model));
  CHECK_EQUAL(0, tp_handle_count());
  printf("%s\n", text);
  return 0;
}
