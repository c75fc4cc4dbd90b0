#include "trt_fixture.h"

#include <dlfcn.h>

static void *trt, *cuda;

static void *open_fake(const char *variable) {
  const char *path = getenv(variable);
  if (path == NULL) FAIL("%s is not set", variable);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) FAIL("%s", dlerror());
  return library;
}

/* A function of a library, as memcpy may make it of a data pointer. */
#define FIND(function, library, name)                \
  do {                                               \
    void *address_ = dlsym(library, name);           \
    CHECK(address_ != NULL);                         \
    memcpy(&(function), &address_, sizeof address_); \
  } while (0)

void need_fakes(void) {
  cuda = open_fake("TRTPIPE_FAKE_CUDA");
  trt = open_fake("TRTPIPE_FAKE_TRT");
}

int family(void) {
  const char *path = getenv("TRTPIPE_FAKE_TRT");
  return strstr(path, "rtx") != NULL ? 1 : strstr(path, ".so.10") != NULL ? 10 : 11;
}

void fail_build(const char *name) {
  char order[80];
  snprintf(order, sizeof order, "%s:1", name != NULL ? name : "");
  CHECK_EQUAL(0, name != NULL ? setenv("FAKE_TRT_FAIL", order, 1) : unsetenv("FAKE_TRT_FAIL"));
}

int32_t open_trt(const char *options, const void *bytes, size_t byte_count, uint32_t *model) {
  char all[8192];
  snprintf(all, sizeof all, "backend=TensorrtTensor;cuda=%s;tensorrt=%s;host=%s%s%s",
           getenv("TRTPIPE_FAKE_CUDA"), getenv("TRTPIPE_FAKE_TRT"), getenv("TRTPIPE_FAKE_HOST"),
           *options != '\0' ? ";" : "", options);
  return open_model(all, bytes, byte_count, model);
}

void fail_trt(const char *name, int n) {
  void (*order)(const char *name, int n);
  FIND(order, trt, "fake_trt_fail");
  order(name, n);
}

void fail_cuda(const char *name, int n, int error) {
  void (*order)(const char *name, int n, int error);
  FIND(order, cuda, "fake_cuda_fail");
  order(name, n, error);
}

bool cuda_failure_pending(void) {
  int (*pending)(void);
  FIND(pending, cuda, "fake_cuda_pending");
  return pending() != 0;
}

void side_by_side(int on) {
  void (*order)(int on);
  FIND(order, cuda, "fake_cuda_side_by_side");
  order(on);
}

int graph_launches(void) {
  int (*launches)(void);
  FIND(launches, cuda, "fake_cuda_launches");
  return launches();
}

size_t pinned_bytes(void) {
  size_t (*registered)(void);
  FIND(registered, cuda, "fake_cuda_registered");
  return registered();
}

int direct_copies(void) {
  int (*copies)(void);
  FIND(copies, cuda, "fake_cuda_direct_copies");
  return copies();
}

void check_nothing_left(void) {
  int (*live)(void);
  FIND(live, trt, "fake_trt_live");
  CHECK_EQUAL(0, live());
  FIND(live, cuda, "fake_cuda_live");
  CHECK_EQUAL(0, live());
  CHECK_EQUAL(0, tp_handle_count());
}

onnx_writer negation(int64_t columns) {
  onnx_writer w = {0};
  onnx_input(&w, "x", TP_F32, 2, (int64_t[]){-1, columns});
  onnx_node(&w, "Neg", "x", "y");
  onnx_output(&w, "y", TP_F32, 2, (int64_t[]){-1, columns});
  onnx_finish(&w);
  return w;
}
