/* What TensorrtTensor says when something is wrong, and that nothing is left behind by any failure. */
#include <stdbool.h>

#include "../memory.h"
#include "trt_fixture.h"

static const char *scenario_options = "max=4;spin_us=1";

/* Opens, makes two instances, runs batches of two sizes; the first failure is the answer. */
static int32_t scenario(void) {
  onnx_writer w = negation(2);
  uint32_t model = 0, instances[2] = {0, 0};
  int32_t status = open_trt(scenario_options, w.model.data, w.model.length, &model);
  onnx_free(&w);
  if (status != TP_OK) return status;
  float payload[2][4][2] = {{{1, 2}, {3, 4}, {5, 6}, {7, 8}}};
  struct {
    tp_batch head;
    tp_row rows[4];
  } block = {.rows = {{.slot = 0}, {.slot = 1}, {.slot = 3}, {.slot = 2}}};
  const uint64_t offsets[2] = {0, sizeof payload[0]}, strides[2] = {8, 8};
  for (int i = 0; i < 2 && status == TP_OK; i++) {
    status = tp_instance_create(model, 4, 1, &instances[i]);
    if (status != TP_OK) break;
    CHECK_EQUAL(TP_OK, tp_instance_bind_layout(instances[i], offsets, strides, 2));
    CHECK_EQUAL(TP_OK, tp_instance_bind_channel(instances[i], 0, payload, sizeof payload, 4));
    CHECK_EQUAL(TP_OK, tp_instance_bind_batch(instances[i], &block, sizeof block));
    for (uint32_t rows = 4; rows > 2 && status == TP_OK; rows--) {
      memset(payload[1], 0, sizeof payload[1]);
      status = tp_instance_run(instances[i], rows);
      for (uint32_t row = 0; row < rows && status == TP_OK; row++)
        CHECK(payload[1][block.rows[row].slot][1] == -payload[0][block.rows[row].slot][1]);
    }
  }
  for (int i = 0; i < 2; i++) {
    if (instances[i] != 0) CHECK_EQUAL(TP_OK, tp_instance_destroy(instances[i]));
  }
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  return status;
}

static const char *with_host(const char *host) {
  static char text[4096];
  snprintf(text, sizeof text, "backend=TensorrtTensor;cuda=%s;tensorrt=%s;host=%s",
           getenv("TRTPIPE_FAKE_CUDA"), getenv("TRTPIPE_FAKE_TRT"), host);
  return text;
}

/* Lets each call of the build fail, which happens in another process. */
static void builds(void) {
  static const struct {
    const char *name;
    int32_t status;
    const char *says;
  } cases[] = {
      {"createInferBuilder", TP_ERR_UNSUPPORTED, "cannot start TensorRT's builder: [fake] createInferB"},
      {"createNvOnnxParser", TP_ERR_UNSUPPORTED, "cannot start TensorRT's ONNX parser: [fake] create"},
      {"setDimensions", TP_ERR_UNSUPPORTED, "refused a shape of input \"x\", "},
      {"addOptimizationProfile", TP_ERR_UNSUPPORTED, "refused the smallest and largest shapes: [fake]"},
      {"buildSerializedNetwork", TP_ERR_PARSE, "could not build an engine for the model: [fake] build"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fail_build(cases[i].name);
    CHECK_FAILS(cases[i].status, cases[i].says, scenario());
    check_nothing_left();
  }
  fail_build(NULL);
  CHECK_FAILS(TP_ERR_LIBRARY, "the program \"/nowhere/host\" cannot be run: No such file or directory",
              open_model(with_host("/nowhere/host"), "x", 1, &(uint32_t){0}));
  CHECK_FAILS(TP_ERR_PARSE, "the program that builds it ended with status 1",
              open_model(with_host("/bin/false"), "x", 1, &(uint32_t){0}));
  /* A program that says it has built, and has not. */
  CHECK_FAILS(TP_ERR_OPEN, "/plan\": No such file or directory",
              open_model(with_host("/bin/true"), "x", 1, &(uint32_t){0}));
  /* One that dies. */
  CHECK_EQUAL(0, setenv("FAKE_CUDA_FAIL", "cuCtxSetCurrent:1:-1", 1));
  CHECK_FAILS(TP_ERR_PARSE, "the program that builds it ended with signal 6; it said: fake CUDA: ordered",
              scenario());
  CHECK_EQUAL(0, unsetenv("FAKE_CUDA_FAIL"));
}

/* Lets each call in turn fail: every failure has its status and its text, and leaves nothing. */
static void ordered(void) {
  static const struct {
    const char *name;
    int cuda; /* CUDA's error; 0: TensorRT's function */
    int32_t status;
    const char *says;
  } cases[] = {
      {"createInferRuntime", 0, TP_ERR_UNSUPPORTED, "cannot start TensorRT's runtime: [fake] createInferR"},
      {"deserializeCudaEngine", 0, TP_ERR_PARSE, "TensorRT refused the engine: [fake] deserialize"},
      {"createExecutionContext", 0, TP_ERR_MEMORY, "could not create an instance: [fake] createExec"},
      {"setOptimizationProfileAsync", 0, TP_ERR_UNSUPPORTED, "another instance's profile: [fake] setOpt"},
      {"setInputShape", 0, TP_ERR_EXECUTION, "refused a batch whose input \"x\" has the shape "},
      {"inferShapes", 0, TP_ERR_EXECUTION, "cannot work out a batch's shapes: [fake] infer"},
      {"setTensorAddress", 0, TP_ERR_EXECUTION, "refused the memory of a tensor: [fake] setTensor"},
      {"enqueueV3", 0, TP_ERR_EXECUTION, "TensorRT failed the batch: [fake] enqueueV3 was ordered to fail"},
      {"cuStreamCreateWithPriority", 1, TP_ERR_MEMORY,
       "cannot create a CUDA stream: CUDA_ERROR_FAKE (CUDA err"},
      {"cuEventCreate", 1, TP_ERR_MEMORY, "cannot create a CUDA stream: CUDA_ERROR_FAKE (CUDA err"},
      {"cuMemHostAlloc", 2, TP_ERR_MEMORY, "pinned host memory for a batch: CUDA_ERROR_OUT_OF_MEMORY (CUDA"},
      {"cuMemAllocAsync", 2, TP_ERR_MEMORY, "device memory for a batch: CUDA_ERROR_OUT_OF_MEMORY (CUDA er"},
      {"cuMemcpyHtoDAsync_v2", 1, TP_ERR_EXECUTION, "cannot copy an input to the device: CUDA_ERROR_FAKE"},
      {"cuMemcpyDtoHAsync_v2", 1, TP_ERR_EXECUTION, "cannot copy an output from the device: CUDA_ERROR_FAKE"},
      {"cuEventRecord", 1, 0, "CUDA_ERROR_FAKE (CUDA error 1: an error of the fake driver)"},
      {"cuEventQuery", 1, 0, "CUDA_ERROR_FAKE (CUDA error 1: an error of the fake driver)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int n = 0;
    int32_t status;
    do {
      if (++n > 50) FAIL("%s never stops failing", cases[i].name);
      if (cases[i].cuda != 0) fail_cuda(cases[i].name, n, cases[i].cuda);
      else fail_trt(cases[i].name, n);
      status = scenario();
      if (status != TP_OK) CHECK_ERROR(cases[i].says);
      if (status != TP_OK && cases[i].status != 0) CHECK_EQUAL(cases[i].status, status);
      check_nothing_left();
    } while (status != TP_OK);
    if (n < 2) FAIL("%s was never called", cases[i].name);
    fail_cuda(NULL, 0, 0);
    fail_trt(NULL, 0);
  }
}

/* A batch that is a graph fails as any other; what fails before its first launch makes no graph. */
static void graphs(void) {
  static const char *const names[] = {"cuGraphLaunch", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2",
                                      "cuEventRecord", "cuMemAllocAsync"};
  scenario_options = "max=4;spin_us=0;cuda_graph=1";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    int32_t status = TP_ERR_EXECUTION;
    int n = 0, before = 0;
    while (status != TP_OK) {
      if (++n > 100) FAIL("%s never stops failing", names[i]);
      before = graph_launches();
      fail_cuda(names[i], n, 1);
      status = scenario();
      fail_cuda(NULL, 0, 0);
      CHECK(status == TP_OK || status == TP_ERR_EXECUTION || status == TP_ERR_MEMORY);
      check_nothing_left();
    }
    if (n < 2) FAIL("%s was never called", names[i]);
    CHECK_EQUAL(before + 4, graph_launches());
  }
  fail_cuda("cuGraphLaunch", 3, 719);
  CHECK_FAILS(TP_ERR_DEVICE, "cannot launch a batch's graph: CUDA_ERROR_FAKE (CUDA error 719", scenario());
  fail_cuda(NULL, 0, 0);
  CHECK_FAILS(TP_ERR_DEVICE, "an earlier error has made it unusable", scenario());
  check_nothing_left();
}

/* Each request for memory of our own fails once. */
static void memory(void) {
  int32_t status;
  uint64_t n = 0;
  do {
    tp_alloc_fail_at(++n);
    status = scenario();
    tp_alloc_fail_at(0);
    if (status != TP_OK) CHECK_EQUAL(TP_ERR_MEMORY, status);
    check_nothing_left();
  } while (status != TP_OK);
  CHECK(n > 8);
}

/* A failed batch leaves the instance as it was. */
static void recovery(void) {
  onnx_writer w = negation(2);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_trt("max=4", w.model.data, w.model.length, &model));
  onnx_free(&w);
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "for 5 rows: the engine was built for at most 4",
              tp_instance_create(model, 5, 1, &(uint32_t){0}));
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){8, 8});
  for (uint32_t round = 0; round < 8; round++) {
    for (uint32_t row = 0; row < 3; row++) {
      set_row(&f, row, 0, row);
      memcpy(slot_data(&f, 0, row, 0), (float[]){(float)round, (float)row}, 8);
    }
    bool fails = round % 2 == 1;
    if (fails) fail_trt(round % 4 == 1 ? "enqueueV3" : "inferShapes", 1);
    int32_t status = tp_instance_run(f.instance, 1 + round % 3);
    if (fails && status == TP_OK) FAIL("round %u did not fail", round);
    if (fails) CHECK_EQUAL(TP_ERR_EXECUTION, status);
    else CHECK_EQUAL(TP_OK, status);
    if (!fails) CHECK(((float *)slot_data(&f, 0, 0, 1))[0] == -(float)round);
    fail_trt(NULL, 0);
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_nothing_left();
}

/* An error that loses the context: the batch and everything after it says so, on every instance; the end is
 * orderly. */
static void device_lost(void) {
  onnx_writer w = negation(2);
  uint32_t model = 0, other = 0;
  CHECK_EQUAL(TP_OK, open_trt("max=4;spin_us=0", w.model.data, w.model.length, &model));
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){8, 8});
  fixture g = make_fixture(model, 4, 1, 2, (uint64_t[]){8, 8});
  for (uint32_t row = 0; row < 4; row++) {
    set_row(&f, row, 0, row);
    set_row(&g, row, 0, row);
  }
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 4));
  fail_cuda("cuEventSynchronize", 1, 700);
  CHECK_FAILS(TP_ERR_DEVICE, "the device failed the batch: CUDA_ERROR_ILLEGAL_ADDRESS (CUDA error 700",
              tp_instance_run(f.instance, 4));
  CHECK_FAILS(TP_ERR_DEVICE, "cannot use CUDA device 0 (Fake GPU 0): an earlier error has made it unusable",
              tp_instance_run(f.instance, 4));
  CHECK_FAILS(TP_ERR_DEVICE, "an earlier error", tp_instance_run(g.instance, 4));
  CHECK_FAILS(TP_ERR_DEVICE, "an earlier error", open_trt("", w.model.data, w.model.length, &other));
  /* The other device goes on. */
  fail_cuda(NULL, 0, 0);
  CHECK_EQUAL(TP_OK, open_trt("device_id=1", w.model.data, w.model.length, &other));
  CHECK_EQUAL(TP_OK, tp_model_close(other));
  onnx_free(&w);
  end_fixture(&f);
  end_fixture(&g);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_nothing_left();
}

int main(int count, char **arguments) {
  (void)arguments;
  need_fakes();
  builds();
  ordered();
  memory();
  recovery();
  if (count > 1) graphs();
  else device_lost();
  return 0;
}
