/*
 * Runs a model on a real GPU through the library's public interface, and nothing else: no Node, no headers of
 * CUDA or TensorRT. See README.md.
 *
 *   check LIBRARY MODEL EXPECTED [key=value ...]
 *
 * LIBRARY is a libtrtpipe.so; the rest of the arguments are options of tp_model_open (tensorrt=PATH and so
 * on), or ours:
 *   instances=1,2,4   how many run at once, one after the other; seconds=3 for each
 *   rows=N            rows of the largest batch: those of the file, again and again (default: once)
 *   copy=1            before each run that is measured, its rows are copied into their slots, as clients do;
 *   copy=2            the same by stores that go past the caches, where the device reads anyway (x86-64)
 *   runs=300 tolerance=0.001 min_rows=1
 * Prints one JSON object per line, and ends with 0 if every number was right.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "library.h"

/* The file of expected numbers: this head, then `rows` inputs, then `rows` outputs, all float32. */
typedef struct expected_head {
  char magic[8]; /* "trtpipe1" */
  uint32_t rows, input_elements, output_elements, reserved;
} expected_head;

typedef struct plan {
  expected_head head;
  float *inputs, *outputs;
  uint32_t model, rows, min_rows, runs, copy;
  double seconds, tolerance;
} plan;

/* One thread's instance, its slots and its numbers. */
typedef struct runner {
  const plan *plan;
  pthread_t thread;
  uint32_t instance;
  uint8_t *payload; /* mapped: pages of its own */
  uint64_t payload_bytes;
  tp_batch *block;
  double *times;
  uint64_t rows_done;
  double max_absolute, max_relative;
  int wrong_class, failed;
} runner;

static int load_expected(const char *path, plan *p) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fread(&p->head, sizeof p->head, 1, file) != 1 ||
      memcmp(p->head.magic, "trtpipe1", 8) != 0) {
    fprintf(stderr, "cannot read %s\n", path);
    return 0;
  }
  size_t inputs = (size_t)p->head.rows * p->head.input_elements;
  size_t outputs = (size_t)p->head.rows * p->head.output_elements;
  p->inputs = malloc(inputs * sizeof(float));
  p->outputs = malloc(outputs * sizeof(float));
  int read = fread(p->inputs, sizeof(float), inputs, file) == inputs &&
             fread(p->outputs, sizeof(float), outputs, file) == outputs;
  fclose(file);
  return read;
}

/* Opens the model with the options among the arguments; ours are read into the plan. */
static int open_model(plan *p, const char *model, int count, char **arguments, const char **instances) {
  char options[8192];
  char text[8192];
  size_t used = add_option(options, 0, sizeof options, "backend=TensorrtTensor");
  snprintf(text, sizeof text, "path=%s", model);
  used = add_option(options, used, sizeof options, text);
  int max_given = 0;
  for (int i = 0; i < count; i++) {
    if (sscanf(arguments[i], "seconds=%lf", &p->seconds) == 1) continue;
    if (sscanf(arguments[i], "runs=%u", &p->runs) == 1) continue;
    if (sscanf(arguments[i], "tolerance=%lf", &p->tolerance) == 1) continue;
    if (sscanf(arguments[i], "rows=%u", &p->rows) == 1) continue;
    if (sscanf(arguments[i], "copy=%u", &p->copy) == 1) continue;
    if (sscanf(arguments[i], "min_rows=%u", &p->min_rows) == 1) continue;
    if (strncmp(arguments[i], "instances=", 10) == 0) {
      *instances = arguments[i] + 10;
      continue;
    }
    max_given = max_given || strncmp(arguments[i], "max=", 4) == 0;
    used = add_option(options, used, sizeof options, arguments[i]);
  }
  snprintf(text, sizeof text, "max=%u", p->rows);
  if (!max_given) used = add_option(options, used, sizeof options, text);
  double start = now_ms();
  int32_t status = p_tp_model_open(options, (uint32_t)used, NULL, 0, &p->model);
  if (status != TP_OK) return failed("open", status);
  p_tp_model_describe(p->model, text, sizeof text);
  printf("{\"step\":\"open\",\"ok\":true,\"ms\":%.1f,\"model\":%s}\n", now_ms() - start, text);
  return 1;
}

static int32_t start_runner(runner *r) {
  const plan *p = r->plan;
  uint64_t strides[2] = {(uint64_t)p->head.input_elements * 4, (uint64_t)p->head.output_elements * 4};
  uint64_t offsets[2] = {0, strides[0] * p->rows};
  uint64_t bytes = (strides[0] + strides[1]) * p->rows;
  r->payload = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  r->payload_bytes = bytes;
  r->block = calloc(1, sizeof(tp_batch) + p->rows * sizeof(tp_row));
  r->times = calloc(p->runs, sizeof(double));
  int32_t status = p_tp_instance_create(p->model, p->rows, p->min_rows, &r->instance);
  if (status == TP_OK) status = p_tp_instance_bind_layout(r->instance, offsets, strides, 2);
  if (status == TP_OK) status = p_tp_instance_bind_channel(r->instance, 0, r->payload, bytes, p->rows);
  if (status == TP_OK)
    status = p_tp_instance_bind_batch(r->instance, r->block, sizeof(tp_batch) + p->rows * sizeof(tp_row));
  return status;
}

/* CUDA's word on host memory: 1 it is pinned, 0 it is not, -1 CUDA cannot be asked. */
static int is_pinned(void *memory) {
  /* The plural: asking it of memory that CUDA does not know is no error, which a sanitizer would report. */
  static int (*get)(unsigned count, int *attributes, void **values, uint64_t pointer);
  if (get == NULL) {
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    void *address = cuda != NULL ? dlsym(cuda, "cuPointerGetAttributes") : NULL;
    if (address == NULL) return -1;
    memcpy(&get, &address, sizeof address);
  }
  unsigned kind = 0;
  int memory_type = 2;
  void *value = &kind;
  int error = get(1, &memory_type, &value, (uint64_t)(uintptr_t)memory);
  return error == 0 ? kind == 1 : -1;
}

static void end_runner(runner *r) {
  if (r->instance != 0 && p_tp_instance_destroy(r->instance) != TP_OK) failed("destroy", 0);
  if (r->instance != 0 && is_pinned(r->payload) == 1) failed("pinned after the end", 0);
  if (r->payload != NULL) munmap(r->payload, r->payload_bytes);
  free(r->block);
  free(r->times);
}

/* As memcpy does, but what is written is in no cache afterwards. */
static void copy_past_caches(uint8_t *to, const uint8_t *from, size_t bytes) {
  size_t at = 0;
#ifdef __SSE2__
  for (; (uintptr_t)to % 16 == 0 && at + 16 <= bytes; at += 16) {
    __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(from + at));
    _mm_stream_si128((__m128i *)(void *)(to + at), some);
  }
  _mm_sfence();
#endif
  memcpy(to + at, from + at, bytes - at);
}

/* Rows of the batch are those of the file from `first` on, around its end. */
static void copy_rows(runner *r, uint32_t rows, uint32_t first) {
  const plan *p = r->plan;
  size_t in = (size_t)p->head.input_elements;
  for (uint32_t row = 0; row < rows; row++) {
    uint8_t *to = r->payload + row * in * 4;
    const float *from = p->inputs + (first + row) % p->head.rows * in;
    if (p->copy == 2) copy_past_caches(to, (const uint8_t *)from, in * 4);
    else memcpy(to, from, in * 4);
  }
}

static int32_t run(runner *r, uint32_t rows, uint32_t first) {
  const plan *p = r->plan;
  size_t in = (size_t)p->head.input_elements, out = (size_t)p->head.output_elements;
  tp_row *records = (tp_row *)(void *)(r->block + 1);
  copy_rows(r, rows, first);
  for (uint32_t row = 0; row < rows; row++) {
    records[row] = (tp_row){.channel = 0, .slot = row, .status = -1};
    memset(r->payload + p->rows * in * 4 + row * out * 4, 0xFF, out * 4);
  }
  return p_tp_instance_run(r->instance, rows);
}

static void compare(runner *r, uint32_t rows, uint32_t first) {
  const plan *p = r->plan;
  size_t out = p->head.output_elements;
  const float *got = (const float *)(const void *)(r->payload + (size_t)p->rows * p->head.input_elements * 4);
  for (uint32_t row = 0; row < rows; row++) {
    const float *expected = p->outputs + (first + row) % p->head.rows * out;
    double largest = 0;
    size_t best = 0, best_expected = 0;
    for (size_t i = 0; i < out; i++) largest = fmax(largest, fabs((double)expected[i]));
    for (size_t i = 0; i < out; i++) {
      double difference = fabs((double)got[row * out + i] - (double)expected[i]);
      if (!(difference <= r->max_absolute)) r->max_absolute = difference;
      if (!(difference / largest <= r->max_relative)) r->max_relative = difference / largest;
      if (got[row * out + i] > got[row * out + best]) best = i;
      if (expected[i] > expected[best_expected]) best_expected = i;
    }
    r->wrong_class += best != best_expected;
  }
}

/* Every batch size from every first row. */
static int check_numbers(runner *r) {
  const plan *p = r->plan;
  for (uint32_t rows = 1; rows <= p->rows; rows++) {
    r->max_absolute = r->max_relative = 0;
    r->wrong_class = 0;
    for (uint32_t first = 0; first < p->head.rows; first++) {
      int32_t status = run(r, rows, first);
      if (status != TP_OK) return failed("run", status);
      compare(r, rows, first);
    }
    int ok = r->max_relative <= p->tolerance && r->wrong_class == 0;
    failures += !ok;
    printf(
        "{\"step\":\"numbers\",\"ok\":%s,\"rows\":%u,\"max_absolute\":%.3g,\"max_relative\":%.3g,"
        "\"wrong_class\":%d}\n",
        ok ? "true" : "false", rows, r->max_absolute, r->max_relative, r->wrong_class);
  }
  return 1;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* A run that is measured: the slots have what they had, or what a client has just copied there. */
static int32_t run_again(runner *r, uint32_t rows, uint32_t first) {
  if (r->plan->copy != 0) copy_rows(r, rows, first);
  return p_tp_instance_run(r->instance, rows);
}

/* One instance alone: how long a call takes for batches of 1, 2, 4 rows and so on. */
static void measure_latency(runner *r) {
  const plan *p = r->plan;
  for (uint32_t rows = 1; rows <= p->rows; rows *= 2) {
    for (uint32_t i = 0; i < 20; i++) p_tp_instance_run(r->instance, rows);
    double start = now_ms();
    for (uint32_t i = 0; i < p->runs; i++) {
      double before = now_ms();
      int32_t status = run_again(r, rows, i % p->head.rows);
      if (status != TP_OK) failed("latency", status);
      r->times[i] = now_ms() - before;
    }
    double took = now_ms() - start;
    qsort(r->times, p->runs, sizeof(double), by_value);
    printf(
        "{\"step\":\"latency\",\"ok\":true,\"rows\":%u,\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f,"
        "\"rows_per_s\":%.0f}\n",
        rows, r->times[p->runs / 2], r->times[p->runs * 99 / 100], r->times[p->runs - 1],
        rows * p->runs / took * 1e3);
  }
}

/* Full batches for some seconds; every tenth is compared. */
static void *keep_running(void *argument) {
  runner *r = argument;
  const plan *p = r->plan;
  double end = now_ms() + p->seconds * 1e3;
  for (uint32_t i = 0; now_ms() < end; i++) {
    int32_t status =
        i % 10 == 0 ? run(r, p->rows, i % p->head.rows) : run_again(r, p->rows, i % p->head.rows);
    if (status != TP_OK) {
      r->failed = 1;
      failed("throughput", status);
      return NULL;
    }
    if (i % 10 == 0) compare(r, p->rows, i % p->head.rows);
    r->rows_done += p->rows;
  }
  return NULL;
}

static void measure_throughput(const plan *p, uint32_t count) {
  runner *runners = calloc(count, sizeof *runners);
  double start = now_ms();
  int32_t status = TP_OK;
  for (uint32_t i = 0; i < count && status == TP_OK; i++) {
    runners[i].plan = p;
    status = start_runner(&runners[i]);
    if (status == TP_OK) status = run(&runners[i], p->rows, 0);
  }
  double ready = now_ms();
  if (status != TP_OK) failed("instances", status);
  for (uint32_t i = 0; i < count && status == TP_OK; i++)
    pthread_create(&runners[i].thread, NULL, keep_running, &runners[i]);
  uint64_t rows = 0;
  double worst = 0;
  int ok = status == TP_OK;
  for (uint32_t i = 0; i < count && status == TP_OK; i++) {
    pthread_join(runners[i].thread, NULL);
    rows += runners[i].rows_done;
    if (!(runners[i].max_relative <= worst)) worst = runners[i].max_relative;
    ok = ok && !runners[i].failed && runners[i].wrong_class == 0;
  }
  double took = now_ms() - ready;
  ok = ok && worst <= p->tolerance;
  failures += !ok;
  printf(
      "{\"step\":\"throughput\",\"ok\":%s,\"instances\":%u,\"create_ms\":%.1f,\"rows_per_s\":%.0f,"
      "\"max_relative\":%.3g}\n",
      ok ? "true" : "false", count, ready - start, (double)rows / took * 1e3, worst);
  for (uint32_t i = 0; i < count; i++) end_runner(&runners[i]);
  free(runners);
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  plan p = {.min_rows = 1, .runs = 300, .seconds = 3, .tolerance = 1e-3};
  const char *instances = "1,2,4";
  if (count < 4) {
    fprintf(stderr, "usage: check LIBRARY MODEL EXPECTED [key=value ...]\n");
    return 2;
  }
  if (!load_library(arguments[1]) || !load_expected(arguments[3], &p)) return 2;
  p.rows = p.head.rows;
  if (!open_model(&p, arguments[2], count - 4, arguments + 4, &instances)) return 1;
  runner r = {.plan = &p};
  double start = now_ms();
  int32_t status = start_runner(&r);
  if (status != TP_OK) failed("instance", status);
  else printf("{\"step\":\"instance\",\"ok\":true,\"ms\":%.1f}\n", now_ms() - start);
  if (status == TP_OK && check_numbers(&r)) {
    printf("{\"step\":\"pinned\",\"ok\":true,\"slots_are_pinned\":%d}\n", is_pinned(r.payload));
    measure_latency(&r);
  }
  end_runner(&r);
  for (const char *at = instances; status == TP_OK && *at != '\0'; at += strcspn(at, ","), at += *at == ',')
    measure_throughput(&p, (uint32_t)atoi(at));
  status = p_tp_model_close(p.model);
  int ok = status == TP_OK && p_tp_handle_count() == 0;
  failures += !ok;
  printf("{\"step\":\"close\",\"ok\":%s,\"failures\":%d}\n", ok ? "true" : "false", failures);
  free(p.inputs);
  free(p.outputs);
  return failures > 0;
}
