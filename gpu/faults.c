/*
 * What happens to TensorrtTensor on a real GPU when something goes wrong, and what the driver does with
 * pinned memory. No headers of CUDA or TensorRT. See README.md.
 *
 *   faults CASE LIBRARY MODEL [key=value ...]
 *
 * Each case is a process of its own, because some of them leave a device's context unusable:
 *   driver    (no LIBRARY, no MODEL) pinning mapped memory: what is refused, and whether copies come through
 *   illegal   another kernel of the process writes where nothing is: DEVICE from then on, an orderly end
 *   load      the device's memory is used up when an instance is made: MEMORY, and all is well once it is
 *             free
 *   run       the same when a batch runs whose output's size only its data decide (MODEL is late.onnx)
 *   capture   another thread allocates device memory all the while graphs are captured and launched
 *   plan      MODEL is a plan or a container of ours, whole or damaged: opens it and runs one row of zeros
 * Prints one JSON object per line, and ends with 0 if everything went as it should. `plan` ends with 0 if the
 * plan was run, 3 if it was refused with an error.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "library.h"

/* ---- The driver, as far as it is needed ---------------------------------------------------------------- */

#define DRIVER(X)                                                                                       \
  X(cuInit, (unsigned))                                                                                 \
  X(cuDeviceGet, (int *, int))                                                                          \
  X(cuDevicePrimaryCtxRetain, (void **, int))                                                           \
  X(cuCtxSetCurrent, (void *))                                                                          \
  X(cuCtxSynchronize, (void))                                                                           \
  X(cuMemGetInfo_v2, (size_t *, size_t *))                                                              \
  X(cuMemAlloc_v2, (uint64_t *, size_t))                                                                \
  X(cuMemFree_v2, (uint64_t))                                                                           \
  X(cuStreamCreate, (void **, unsigned))                                                                \
  X(cuStreamSynchronize, (void *))                                                                      \
  X(cuMemHostRegister_v2, (void *, size_t, unsigned))                                                   \
  X(cuMemHostUnregister, (void *))                                                                      \
  X(cuMemcpyHtoDAsync_v2, (uint64_t, const void *, size_t, void *))                                     \
  X(cuMemcpyDtoHAsync_v2, (void *, uint64_t, size_t, void *))                                           \
  X(cuLaunchHostFunc, (void *, void (*)(void *), void *))                                               \
  X(cuStreamWriteValue32_v2, (void *, uint64_t, uint32_t, unsigned))                                    \
  X(cuModuleLoadData, (void **, const void *))                                                          \
  X(cuModuleGetFunction, (void **, void *, const char *))                                               \
  X(cuLaunchKernel, (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, \
                     void **, void **))

#define DECLARE_DRIVER(name, parameters) static int(*name) parameters;
DRIVER(DECLARE_DRIVER)
#undef DECLARE_DRIVER

static void *context;

static bool open_driver(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  int device = 0;
  if (library == NULL) return false;
#define LOAD_DRIVER(name, parameters)            \
  {                                              \
    void *address = dlsym(library, #name);       \
    if (address == NULL) return false;           \
    memcpy(&name, &address, sizeof address);     \
  }
  DRIVER(LOAD_DRIVER)
#undef LOAD_DRIVER
  return cuInit(0) == 0 && cuDeviceGet(&device, 0) == 0 && cuDevicePrimaryCtxRetain(&context, device) == 0 &&
         cuCtxSetCurrent(context) == 0;
}

/* A step whose numbers must be those expected; `expected` -1: any number is only told. */
static void tell(const char *step, long got, long expected) {
  int ok = expected == -1 || got == expected;
  failures += !ok;
  printf("{\"step\":\"%s\",\"ok\":%s,\"got\":%ld", step, ok ? "true" : "false", got);
  if (expected != -1) printf(",\"expected\":%ld", expected);
  printf("}\n");
}

/* ---- The model and one instance of it ------------------------------------------------------------------ */

enum { ROWS = 4 };

typedef struct bound {
  uint32_t model, instance;
  uint64_t in_bytes, out_bytes;
  uint8_t *payload;
  uint64_t payload_bytes;
  tp_batch *block;
} bound;

static int32_t open_options(const char *path, int count, char **given, uint32_t *model) {
  char options[8192], text[4096];
  size_t used = add_option(options, 0, sizeof options, "backend=TensorrtTensor");
  snprintf(text, sizeof text, "path=%s", path);
  used = add_option(options, used, sizeof options, text);
  for (int i = 0; i < count; i++) used = add_option(options, used, sizeof options, given[i]);
  return p_tp_model_open(options, (uint32_t)used, NULL, 0, model);
}

/* Bytes of an item, from the description: the product of the shape's numbers after `key`, times 4. */
static uint64_t item_bytes(const char *text, const char *key) {
  const char *at = strstr(text, key);
  at = at != NULL ? strstr(at, "\"shape\":[") : NULL;
  uint64_t bytes = 4;
  for (at = at != NULL ? at + 9 : ""; *at != ']' && *at != '\0';) {
    char *end;
    long dim = strtol(at, &end, 10);
    if (dim > 0) bytes *= (uint64_t)dim;
    at = end == at ? at + 1 : end;
  }
  return bytes;
}

static int32_t make(bound *b, uint32_t rows) {
  char text[8192];
  if (p_tp_model_describe(b->model, text, sizeof text) < 0) return TP_ERR_HANDLE;
  b->in_bytes = item_bytes(text, "\"inputs\"");
  b->out_bytes = strstr(strstr(text, "\"outputs\""), "-1") != NULL ? 0 : item_bytes(text, "\"outputs\"");
  uint64_t strides[2] = {b->in_bytes, b->out_bytes}, offsets[2] = {0, b->in_bytes * rows};
  b->payload_bytes = (b->in_bytes + b->out_bytes) * rows;
  b->payload = mmap(NULL, b->payload_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  b->block = calloc(1, sizeof(tp_batch) + rows * sizeof(tp_row));
  int32_t status = p_tp_instance_create(b->model, rows, 1, &b->instance);
  if (status == TP_OK) status = p_tp_instance_bind_layout(b->instance, offsets, strides, 2);
  if (status == TP_OK)
    status = p_tp_instance_bind_channel(b->instance, 0, b->payload, b->payload_bytes, rows);
  if (status == TP_OK)
    status = p_tp_instance_bind_batch(b->instance, b->block, sizeof(tp_batch) + rows * sizeof(tp_row));
  return status;
}

static int32_t run_rows(bound *b, uint32_t rows) {
  tp_row *records = (tp_row *)(void *)(b->block + 1);
  for (uint32_t row = 0; row < rows; row++) records[row] = (tp_row){.slot = row};
  return p_tp_instance_run(b->instance, rows);
}

static void end(bound *b) {
  if (b->instance != 0) tell("destroy", p_tp_instance_destroy(b->instance), TP_OK);
  if (b->payload != NULL) munmap(b->payload, b->payload_bytes);
  free(b->block);
  b->payload = NULL;
  b->block = NULL;
  b->instance = 0;
}

static void say_error(const char *step) {
  char text[2048];
  p_tp_last_error(text, sizeof text);
  printf("{\"step\":\"%s\",\"ok\":true", step);
  print_text("error", text);
  printf("}\n");
}

/* Fills the inputs with ones and takes the answer of a sound device, for later. */
static bool begin(bound *b, const char *model, int count, char **given, uint32_t rows, float **answer) {
  int32_t status = open_options(model, count, given, &b->model);
  if (status == TP_OK) status = make(b, rows);
  if (status == TP_OK) {
    for (uint64_t i = 0; i < b->in_bytes / 4 * rows; i++) ((float *)(void *)b->payload)[i] = 1;
    status = run_rows(b, rows);
  }
  if (status != TP_OK) return failed("begin", status) != 0;
  if (answer != NULL) {
    *answer = malloc(b->out_bytes);
    memcpy(*answer, b->payload + b->in_bytes * rows, b->out_bytes);
  }
  return true;
}

/* ---- Cases --------------------------------------------------------------------------------------------- */

static void host_function(void *argument) { *(atomic_int *)argument = 1; }

static void driver_case(void) {
  enum { PAGE = 4096, SIZE = 1 << 20 };
  uint8_t *memory = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t device = 0;
  void *stream = NULL;
  atomic_int called = 0;
  tell("stream", cuStreamCreate(&stream, 1), 0);
  tell("device memory", cuMemAlloc_v2(&device, 2 * SIZE), 0);
  for (int i = 0; i < 2 * SIZE; i++) memory[i] = (uint8_t)(i * 7);
  tell("register", cuMemHostRegister_v2(memory, SIZE, 1), 0);
  tell("register the same", cuMemHostRegister_v2(memory, SIZE, 1), 712);
  tell("register one more page of it", cuMemHostRegister_v2(memory + SIZE - PAGE, 2 * PAGE, 1), 712);
  tell("register what touches it", cuMemHostRegister_v2(memory + SIZE, SIZE / 2, 1), 0);
  tell("copy within", cuMemcpyHtoDAsync_v2(device, memory + 100, SIZE - 100, stream), 0);
  tell("copy across two registrations", cuMemcpyHtoDAsync_v2(device, memory + SIZE - 100, 200, stream), -1);
  tell("copy across the end", cuMemcpyHtoDAsync_v2(device, memory + SIZE + SIZE / 2 - 100, 200, stream), -1);
  tell("wait", cuStreamSynchronize(stream), 0);
  tell("copy in", cuMemcpyHtoDAsync_v2(device, memory, SIZE, stream), 0);
  tell("wait", cuStreamSynchronize(stream), 0);
  memset(memory, 0, SIZE);
  tell("copy out", cuMemcpyDtoHAsync_v2(memory, device, SIZE, stream), 0);
  tell("host function", cuLaunchHostFunc(stream, host_function, &called), 0);
  tell("wait", cuStreamSynchronize(stream), 0);
  tell("host function was called", called, 1);
  long wrong = 0;
  for (int i = 0; i < SIZE; i++) wrong += memory[i] != (uint8_t)(i * 7);
  tell("wrong bytes", wrong, 0);
  tell("write value", cuStreamWriteValue32_v2(stream, device, 0xABCD, 0), 0);
  tell("copy out", cuMemcpyDtoHAsync_v2(memory, device, 4, stream), 0);
  tell("wait", cuStreamSynchronize(stream), 0);
  tell("value", memory[0] | memory[1] << 8, 0xABCD);
  tell("unregister", cuMemHostUnregister(memory), 0);
  tell("unregister again", cuMemHostUnregister(memory), 713);
  tell("register a part whose ends are no pages", cuMemHostRegister_v2(memory + 16, 10000, 1), -1);
  tell("register the rest of its last page", cuMemHostRegister_v2(memory + 10016, 10000, 1), -1);
}

static void illegal_case(const char *model, int count, char **given) {
  static const char wild[] =
      ".version 6.0\n.target sm_70\n.address_size 64\n.visible .entry wild() {\n"
      " .reg .u64 %a;\n .reg .u32 %v;\n mov.u64 %a, 64;\n mov.u32 %v, 1;\n"
      " st.global.u32 [%a], %v;\n ret;\n}\n";
  bound b = {0};
  void *module = NULL, *function = NULL;
  uint32_t other = 0;
  if (!begin(&b, model, count, given, ROWS, NULL)) return;
  tell("run", run_rows(&b, ROWS), TP_OK);
  tell("context", cuCtxSetCurrent(context), 0);
  tell("load the kernel", cuModuleLoadData(&module, wild), 0);
  tell("find the kernel", cuModuleGetFunction(&function, module, "wild"), 0);
  tell("launch it", cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), 0);
  tell("its error", cuCtxSynchronize(), 700);
  tell("run after it", run_rows(&b, ROWS), TP_ERR_DEVICE);
  say_error("what the run says");
  tell("run again", run_rows(&b, 1), TP_ERR_DEVICE);
  say_error("what the next one says");
  tell("another model", open_options(model, count, given, &other), TP_ERR_DEVICE);
  end(&b);
  tell("close", p_tp_model_close(b.model), TP_OK);
  tell("handles", (long)p_tp_handle_count(), 0);
}

/* Takes device memory until `left` bytes are free, and then piece by piece what still can be had. */
static size_t fill_device(size_t left, uint64_t *pieces, size_t count) {
  size_t used = 0, available = 0, all = 0;
  for (size_t piece = (size_t)1 << 32; piece >= (size_t)2 << 20; piece /= 2) {
    while (used < count && cuMemGetInfo_v2(&available, &all) == 0 && available > left + piece &&
           cuMemAlloc_v2(&pieces[used], piece) == 0)
      used++;
  }
  tell("free MiB", (long)(available >> 20), -1);
  return used;
}

static void load_case(const char *model, int count, char **given) {
  static uint64_t pieces[512];
  bound b = {0}, c = {0};
  float *answer = NULL;
  if (!begin(&b, model, count, given, ROWS, &answer)) return;
  c.model = b.model;
  tell("context", cuCtxSetCurrent(context), 0);
  size_t used = fill_device(0, pieces, sizeof pieces / sizeof pieces[0]);
  int32_t status = TP_OK;
  /* Small models may find room in what the driver keeps; each more instance needs more. */
  bound more[64] = {0};
  uint32_t made = 0;
  while (status == TP_OK && made < 64) {
    more[made].model = b.model;
    status = make(&more[made++], ROWS);
  }
  tell("instances without memory", status, TP_ERR_MEMORY);
  say_error("what it says");
  tell("instances that were made before", (long)made - 1, -1);
  for (uint32_t i = 0; i < made; i++) end(&more[i]);
  tell("run of the one that has its memory", run_rows(&b, ROWS), TP_OK);
  while (used > 0) cuMemFree_v2(pieces[--used]);
  tell("instance with memory", make(&c, ROWS), TP_OK);
  if (c.instance != 0) {
    memcpy(c.payload, b.payload, b.in_bytes * ROWS);
    tell("its run", run_rows(&c, ROWS), TP_OK);
    tell("its answer differs", memcmp(answer, c.payload + c.in_bytes * ROWS, c.out_bytes) != 0, 0);
  }
  end(&c);
  end(&b);
  tell("close", p_tp_model_close(b.model), TP_OK);
  tell("handles", (long)p_tp_handle_count(), 0);
  free(answer);
}

/* The indices of all elements of [16, 1024, 1024], behind each other for each dimension; the wrong ones. */
static long wrong_indices(const bound *b, uint64_t elements) {
  uint64_t bytes = elements * 3 * sizeof(int64_t);
  int64_t *got = calloc(3, elements * sizeof(int64_t));
  int32_t status = p_tp_result_copy(b->block->result, 0, 0, got, bytes);
  if (status != TP_OK) failed("copy of the indices", status);
  long wrong = 0;
  for (uint64_t i = 0; i < elements; i++) {
    wrong += got[i] != (int64_t)(i >> 20) || got[elements + i] != (int64_t)(i >> 10 & 1023) ||
             got[2 * elements + i] != (int64_t)(i & 1023);
  }
  free(got);
  return wrong;
}

static void tell_free(void) {
  size_t available = 0, all = 0;
  int error = cuMemGetInfo_v2(&available, &all);
  tell("free MiB, or CUDA's error", error != 0 ? -error : (long)(available >> 20), -1);
}

static void run_case(const char *model, int count, char **given) {
  static uint64_t pieces[512];
  bound b = {0};
  int32_t status = open_options(model, count, given, &b.model);
  if (status == TP_OK) status = make(&b, 1);
  /* All zeros: the output has no elements. */
  if (status == TP_OK) status = run_rows(&b, 1);
  if (status != TP_OK) {
    failed("begin", status);
    return;
  }
  if (b.block->result != 0) p_tp_result_release(b.block->result);
  tell("context", cuCtxSetCurrent(context), 0);
  size_t used = fill_device((size_t)64 << 20, pieces, sizeof pieces / sizeof pieces[0]);
  uint64_t elements = b.in_bytes / 4;
  for (uint64_t i = 0; i < elements; i++) ((float *)(void *)b.payload)[i] = 1;
  status = run_rows(&b, 1);
  say_error("what a run without memory says");
  tell("a run without memory", status, TP_ERR_MEMORY);
  tell_free();
  while (used > 0) tell("free", cuMemFree_v2(pieces[--used]), 0);
  tell_free();
  status = run_rows(&b, 1);
  if (status != TP_OK) say_error("what a run with memory says");
  tell("run with memory", status, TP_OK);
  tell("elements found", b.block->dims[1][1], (long)elements);
  if (b.block->result != 0) {
    tell("wrong indices", wrong_indices(&b, elements), 0);
    p_tp_result_release(b.block->result);
  }
  end(&b);
  tell("close", p_tp_model_close(b.model), TP_OK);
  tell("handles", (long)p_tp_handle_count(), 0);
}

static atomic_int stop;

static void *allocate(void *argument) {
  long *count = argument;
  cuCtxSetCurrent(context);
  while (!stop) {
    uint64_t memory = 0;
    if (cuMemAlloc_v2(&memory, 1 << 20) == 0) cuMemFree_v2(memory);
    ++*count;
  }
  return NULL;
}

static void capture_case(const char *model, int count, char **given) {
  bound b = {0};
  float *answer = NULL;
  long allocations = 0, wrong = 0;
  pthread_t thread;
  if (!begin(&b, model, count, given, ROWS, &answer)) return;
  end(&b);
  pthread_create(&thread, NULL, allocate, &allocations);
  for (int round = 0; round < 5; round++) {
    if (make(&b, ROWS) != TP_OK) failed("instance", 0);
    for (uint64_t i = 0; i < b.in_bytes / 4 * ROWS; i++) ((float *)(void *)b.payload)[i] = 1;
    for (int i = 0; i < 50; i++) {
      if (run_rows(&b, ROWS) != TP_OK) failed("run", 0);
      wrong += memcmp(answer, b.payload + b.in_bytes * ROWS, b.out_bytes) != 0;
    }
    end(&b);
  }
  stop = 1;
  pthread_join(thread, NULL);
  tell("allocations meanwhile", allocations, -1);
  tell("wrong answers", wrong, 0);
  tell("close", p_tp_model_close(b.model), TP_OK);
  free(answer);
}

static int plan_case(const char *model, int count, char **given) {
  bound b = {0};
  int32_t status = open_options(model, count, given, &b.model);
  if (status == TP_OK) status = make(&b, 1);
  if (status == TP_OK) status = run_rows(&b, 1);
  say_error("plan");
  if (b.instance != 0) p_tp_instance_destroy(b.instance);
  if (b.model != 0) p_tp_model_close(b.model);
  return status == TP_OK ? 0 : 3;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *name = count > 1 ? arguments[1] : "";
  bool driver = strcmp(name, "driver") == 0;
  if (count < (driver ? 2 : 4)) {
    fprintf(stderr, "usage: faults CASE LIBRARY MODEL [key=value ...]\n");
    return 2;
  }
  if (!driver && !load_library(arguments[2])) return 2;
  if (strcmp(name, "plan") != 0 && !open_driver()) {
    fprintf(stderr, "no CUDA driver\n");
    return 2;
  }
  char **given = arguments + 4;
  int options = count - 4;
  if (driver) driver_case();
  else if (strcmp(name, "illegal") == 0) illegal_case(arguments[3], options, given);
  else if (strcmp(name, "load") == 0) load_case(arguments[3], options, given);
  else if (strcmp(name, "run") == 0) run_case(arguments[3], options, given);
  else if (strcmp(name, "capture") == 0) capture_case(arguments[3], options, given);
  else if (strcmp(name, "plan") == 0) return plan_case(arguments[3], options, given);
  else return 2;
  printf("{\"step\":\"end\",\"case\":\"%s\",\"failures\":%d}\n", name, failures);
  return failures > 0;
}
