/* Device tensors by themselves: opening, memory, references, limits, and what goes wrong. */
#include <pthread.h>

#include "device_fixture.h"

static void opening(void) {
  uint32_t tensor = 0;
  char options[4096];
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "was not opened", tp_device_allocate(0, 4, &tensor));
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "was not opened", tp_device_wrap(1, 4096, 4, &tensor));
  CHECK_FAILS(TP_ERR_ARGUMENT, "below 64", tp_device_open(64, NULL, 0));
  CHECK_FAILS(TP_ERR_ARGUMENT, "a CUDA device knows cuda", tp_device_open(0, "speed=1", 8));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_open(0, NULL, 8));
  /* A driver that is not there is told once, and then tried anew. */
  static const char missing[] = "cuda=/nowhere/libcuda.so.1";
  int32_t status = 0;
  while (status == 0) status = tp_device_open(0, missing, sizeof missing);
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "no CUDA driver (tried \"/nowhere/libcuda.so.1\"", status);
  open_device(0);
  int length = snprintf(options, sizeof options, "cuda=%s", getenv("TRTPIPE_FAKE_CUDA"));
  while ((status = tp_device_open(7, options, (uint32_t)length + 1)) == 0) sleep_us(100);
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected a number below 2", status);
  open_device(1);
  CHECK_EQUAL(1, tp_device_open(0, NULL, 0));
}

static void copying(void) {
  uint32_t tensor = make_floats(0, 5, 10);
  float values[5] = {0};
  check_floats(tensor, 5, 10, 1);
  CHECK_EQUAL(0, info_of(tensor, 0));
  CHECK_EQUAL(20, info_of(tensor, 2));
  CHECK_EQUAL(1, info_of(tensor, 3));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not within its 20 bytes", tp_device_write(tensor, 4, values, 20));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not within", tp_device_read(tensor, UINT64_MAX, values, 4));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not within", tp_device_read(tensor, 4, values, UINT64_MAX));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_read(tensor, 0, NULL, 4));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_write(tensor, 0, NULL, 4));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_info(tensor, NULL));
  CHECK_EQUAL(TP_OK, tp_device_write(tensor, 20, NULL, 0));
  CHECK_EQUAL(TP_OK, tp_device_read(tensor, 0, NULL, 0));
  check_floats(tensor, 5, 10, 1);
  CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
  check_devices_empty();
}

static void references(void) {
  uint32_t tensor = make_floats(1, 3, 0), other = 0;
  CHECK_EQUAL(TP_OK, tp_device_retain(tensor, 3));
  CHECK_EQUAL(4, info_of(tensor, 3));
  CHECK_FAILS(TP_ERR_HANDLE, "it has 4 references", tp_device_release(tensor, 5));
  CHECK_FAILS(TP_ERR_ARGUMENT, "times more", tp_device_retain(tensor, UINT32_MAX));
  CHECK_EQUAL(TP_OK, tp_device_release(tensor, 0));
  CHECK_EQUAL(TP_OK, tp_device_release(tensor, 3));
  check_floats(tensor, 3, 0, 1);
  CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
  /* What is stale stays so, also when the next tensor is there. */
  other = make_floats(1, 3, 5);
  float value;
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_release(tensor, 1));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_retain(tensor, 1));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_read(tensor, 0, &value, sizeof value));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_write(tensor, 0, &value, sizeof value));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_info(tensor, (uint64_t[4]){0}));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_join(&tensor, 1, &tensor));
  uint32_t watch = 0;
  CHECK_EQUAL(TP_OK, tp_thread_watch(&watch));
  CHECK_FAILS(TP_ERR_HANDLE, "expected a device tensor, got a thread watch", tp_device_release(watch, 1));
  CHECK_EQUAL(TP_OK, tp_thread_unwatch(watch));
  CHECK_EQUAL(TP_OK, tp_device_release(other, 1));
  check_devices_empty();
}

static void wrapping(void) {
  uint32_t whole = make_floats(0, 8, 0), part = 0;
  uint64_t at = info_of(whole, 1);
  float local = 0;
  CHECK_EQUAL(TP_OK, tp_device_wrap(0, at + 8, 12, &part));
  CHECK_EQUAL(at + 8, info_of(part, 1));
  check_floats(part, 3, 2, 1);
  CHECK_EQUAL(2, usage_of(0, 0));
  CHECK_EQUAL(32, usage_of(0, 1));
  CHECK_EQUAL(TP_OK, tp_device_release(part, 1));
  check_floats(whole, 8, 0, 1);
  CHECK_FAILS(TP_ERR_ARGUMENT, "memory of CUDA device 0, not of device 1", tp_device_wrap(1, at, 4, &part));
  CHECK_FAILS(TP_ERR_ARGUMENT, "does not know 33 bytes", tp_device_wrap(0, at, 33, &part));
  CHECK_FAILS(TP_ERR_ARGUMENT, "does not know", tp_device_wrap(0, at + 4, UINT64_MAX, &part));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not device memory", tp_device_wrap(0, 0, 4, &part));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not device memory", tp_device_wrap(0, (uint64_t)(uintptr_t)&local, 4, &part));
  CHECK_FAILS(TP_ERR_ARGUMENT, "tensor_out is NULL", tp_device_wrap(0, at, 4, NULL));
  CHECK_EQUAL(TP_OK, tp_device_release(whole, 1));
  check_devices_empty();
}

static void joining(void) {
  uint32_t parts[3] = {make_floats(0, 2, 0), make_floats(1, 3, 2), make_floats(0, 1, 5)}, all = 0;
  CHECK_EQUAL(TP_OK, tp_device_join(parts, 3, &all));
  check_floats(all, 6, 0, 1);
  CHECK_EQUAL(0, info_of(all, 0));
  CHECK_EQUAL(TP_OK, tp_device_release(all, 1));
  CHECK_EQUAL(TP_OK, tp_device_join(parts + 1, 2, &all));
  CHECK_EQUAL(1, info_of(all, 0));
  check_floats(all, 4, 2, 1);
  CHECK_EQUAL(TP_OK, tp_device_release(all, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "there are none", tp_device_join(parts, 0, &all));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_join(NULL, 1, &all));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_join(parts, 1, NULL));
  CHECK_EQUAL(TP_OK, tp_device_release(parts[2], 1));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_device_join(parts, 3, &all));
  for (int i = 0; i < 2; i++) CHECK_EQUAL(TP_OK, tp_device_release(parts[i], 1));
  check_devices_empty();
}

/* The limit is of the process, for each device; what is refused costs nothing. */
static void limits(void) {
  uint32_t first = 0, second = 0;
  CHECK_EQUAL(TP_OK, tp_device_limit(0, 100));
  CHECK_EQUAL(100, usage_of(0, 2));
  CHECK_EQUAL(TP_OK, tp_device_allocate(0, 60, &first));
  CHECK_FAILS(TP_ERR_MEMORY, "have 60 bytes, and their limit is 100", tp_device_allocate(0, 41, &second));
  CHECK_EQUAL(1, usage_of(0, 0));
  CHECK_EQUAL(TP_OK, tp_device_allocate(1, 41, &second));
  CHECK_EQUAL(TP_OK, tp_device_release(second, 1));
  CHECK_EQUAL(TP_OK, tp_device_allocate(0, 40, &second));
  CHECK_EQUAL(TP_OK, tp_device_limit(0, 10));
  CHECK_EQUAL(TP_ERR_MEMORY, tp_device_join(&first, 1, &second));
  CHECK_EQUAL(TP_OK, tp_device_limit(0, 0));
  CHECK_EQUAL(TP_OK, tp_device_release(first, 1));
  CHECK_EQUAL(TP_OK, tp_device_release(second, 1));
  CHECK_FAILS(TP_ERR_MEMORY, "device memory", tp_device_allocate(0, UINT64_MAX, &first));
  CHECK_FAILS(TP_ERR_ARGUMENT, "below 64", tp_device_limit(64, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "below 64", tp_device_usage(64, (uint64_t[3]){0}));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_usage(0, NULL));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_device_allocate(0, 4, NULL));
  check_devices_empty();
}

/* Whatever fails on the way, nothing is left behind, and the next attempt works. */
static void failures(void) {
  static const char *const calls[] = {"cuCtxPushCurrent_v2", "cuCtxSetCurrent", "cuStreamCreateWithPriority",
                                      "cuEventCreate",       "cuMemAllocAsync", "cuEventRecord"};
  uint32_t tensor = 0, parts[2] = {make_floats(0, 2, 0), make_floats(1, 2, 2)};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    tp_device_limit(0, 0);
    fail_cuda(calls[i], 1, 2);
    int32_t status = tp_device_allocate(0, 16, &tensor);
    if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
    else CHECK_ERROR("CUDA_ERROR_OUT_OF_MEMORY");
    fail_cuda(NULL, 0, 0);
  }
  static const char *const copies[] = {"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2",
                                       "cuMemcpyPeerAsync", "cuEventRecord"};
  float values[2];
  for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
    fail_cuda(copies[i], 1, 1);
    int32_t failed = tp_device_write(parts[0], 0, (float[]){0, 1}, 8) != TP_OK;
    failed += tp_device_read(parts[0], 0, values, 8) != TP_OK;
    int32_t status = tp_device_join(parts, 2, &tensor);
    failed += status != TP_OK;
    if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
    CHECK_EQUAL(1, failed);
    fail_cuda(NULL, 0, 0);
  }
  check_floats(parts[0], 2, 0, 1);
  for (int i = 0; i < 2; i++) CHECK_EQUAL(TP_OK, tp_device_release(parts[i], 1));
  check_devices_empty();
}

enum { THREADS = 4, ROUNDS = 200 };

static void *use_shared(void *argument) {
  uint32_t shared = *(uint32_t *)argument;
  for (int i = 0; i < ROUNDS; i++) {
    CHECK_EQUAL(TP_OK, tp_device_retain(shared, 1));
    uint32_t own = make_floats((uint32_t)i % 2, 2, (float)i), all = 0;
    uint32_t both[2] = {own, shared};
    CHECK_EQUAL(TP_OK, tp_device_join(both, 2, &all));
    check_floats(own, 2, (float)i, 1);
    CHECK_EQUAL(TP_OK, tp_device_release(own, 1));
    CHECK_EQUAL(24, info_of(all, 2));
    CHECK_EQUAL(TP_OK, tp_device_release(all, 1));
    CHECK_EQUAL(TP_OK, tp_device_release(shared, 1));
  }
  return NULL;
}

static void threads(void) {
  uint32_t shared = make_floats(0, 4, 1);
  pthread_t made[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_create(&made[i], NULL, use_shared, &shared));
  for (int i = 0; i < THREADS; i++) CHECK_EQUAL(0, pthread_join(made[i], NULL));
  check_floats(shared, 4, 1, 1);
  CHECK_EQUAL(TP_OK, tp_device_release(shared, 1));
  check_devices_empty();
}

/* A lost device is told in words, and its tensors can still be released. */
static void loss(void) {
  uint32_t tensor = make_floats(1, 2, 0), other = 0;
  float value;
  fail_cuda("cuMemcpyDtoHAsync_v2", 1, 700);
  CHECK_FAILS(TP_ERR_DEVICE, "CUDA_ERROR_ILLEGAL_ADDRESS", tp_device_read(tensor, 0, &value, sizeof value));
  CHECK_FAILS(TP_ERR_DEVICE, "cannot use", tp_device_allocate(1, 4, &other));
  fail_cuda(NULL, 0, 0);
  CHECK_FAILS(TP_ERR_DEVICE, "an earlier error", tp_device_allocate(1, 4, &other));
  CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
  check_devices_empty();
}

static void settings(void) {
  onnx_writer w = negation(3);
  uint32_t model = 0;
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected host or device, got \"disk\"",
              open_trt("output=disk", w.model.data, w.model.length, &model));
  CHECK_FAILS(
      TP_ERR_ARGUMENT, "of a child process",
      open_model("backend=Process;inner=TensorrtTensor;output=device", w.model.data, w.model.length, &model));
  onnx_free(&w);
  check_devices_empty();
}

int main(void) {
  need_fakes();
  opening();
  copying();
  references();
  wrapping();
  joining();
  limits();
  failures();
  threads();
  loss();
  settings();
  return 0;
}
