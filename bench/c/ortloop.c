/*
 * The limit: a closed loop of ONNX Runtime's Run through its C API, from preallocated buffers, with nothing
 * around it.
 *
 *   ortloop LIBRARY MODEL INPUTS OUTPUTS CHECKED ITEMS BATCH INTRA RUNS SHARED WARM_UP_MS MEASURE_MS
 *
 * INPUTS and OUTPUTS are files of ITEMS items and their right answers; CHECKED is a list of output indices to
 * compare. RUNS threads run at once, on one session (SHARED 1) or on one each (0), with INTRA threads in each
 * session's pool. Prints one JSON line. Needs no ONNX Runtime headers: the few slots of its function table
 * that it calls are below.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "latency.h"

/* ---- The function table: it only ever grows, so a slot's number is part of ONNX Runtime's ABI ---------- */

enum {
  ERROR_MESSAGE = 2,
  CREATE_ENV = 3,
  CREATE_SESSION = 7,
  RUN = 9,
  CREATE_SESSION_OPTIONS = 10,
  SET_INTRA_OP_THREADS = 24,
  INPUT_TYPE_INFO = 33,
  OUTPUT_TYPE_INFO = 34,
  INPUT_NAME = 36,
  OUTPUT_NAME = 37,
  CREATE_TENSOR = 49,
  TENSOR_INFO = 55,
  ELEMENT_TYPE = 60,
  DIMENSION_COUNT = 61,
  DIMENSIONS = 62,
  CPU_MEMORY_INFO = 69,
  DEFAULT_ALLOCATOR = 78
};

typedef void *Ref;
typedef struct {
  const Ref *(*get_api)(uint32_t version);
  const char *(*version)(void);
} ApiBase;

static const Ref *api;

#define CALL(slot, signature) ((Ref(*) signature)api[slot])

static void check(Ref status, const char *what) {
  if (!status) return;
  fprintf(stderr, "error: %s: %s\n", what, ((const char *(*)(Ref))api[ERROR_MESSAGE])(status));
  exit(1);
}

/* ---- What a thread works on ---------------------------------------------------------------------------- */

enum { MAX_RANK = 8, MAX_CHECKED = 64, MAX_THREADS = 64, TOLERANCE_1E6 = 2000 };

typedef struct {
  char *name;
  int32_t type;
  size_t rank;
  int64_t shape[MAX_RANK]; /* [0] is the batch */
  size_t item;             /* elements of one item */
} Port;

typedef struct {
  Ref session, input, output;
  Port in, out;
  char *in_bytes;
  float *out_values;
  int batch, first;
  uint64_t runs, wrong;
  uint32_t histogram[BUCKETS];
} Worker;

static Worker workers[MAX_THREADS];
static pthread_barrier_t barrier;
static double warm_up_ms, measure_ms;
static int items, checked[MAX_CHECKED], checked_count;
static char *all_inputs, *all_outputs;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Set-up -------------------------------------------------------------------------------------------- */

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) {
    fprintf(stderr, "error: cannot read \"%s\"\n", path);
    exit(1);
  }
  size_t bytes = (size_t)ftell(file);
  char *data = malloc(bytes);
  rewind(file);
  if (!data || fread(data, 1, bytes, file) != bytes) exit(1);
  fclose(file);
  return data;
}

static void open_library(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "error: %s\n", dlerror());
    exit(1);
  }
  const ApiBase *(*base)(void) = (const ApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
  api = base()->get_api(17);
}

static void describe(Ref session, Ref allocator, int is_output, int batch, Port *port) {
  Ref info, tensor;
  int slot = is_output ? OUTPUT_TYPE_INFO : INPUT_TYPE_INFO, name = is_output ? OUTPUT_NAME : INPUT_NAME;
  check(CALL(slot, (Ref, size_t, Ref *))(session, 0, &info), "type");
  check(CALL(name, (Ref, size_t, Ref, char **))(session, 0, allocator, &port->name), "name");
  check(CALL(TENSOR_INFO, (Ref, Ref *))(info, &tensor), "tensor");
  check(CALL(ELEMENT_TYPE, (Ref, int32_t *))(tensor, &port->type), "element type");
  check(CALL(DIMENSION_COUNT, (Ref, size_t *))(tensor, &port->rank), "rank");
  check(CALL(DIMENSIONS, (Ref, int64_t *, size_t))(tensor, port->shape, port->rank), "dimensions");
  port->shape[0] = batch;
  port->item = 1;
  for (size_t i = 1; i < port->rank; i++) port->item *= (size_t)port->shape[i];
}

static void make_tensor(Ref memory, void *data, const Port *port, Ref *tensor) {
  size_t bytes = (size_t)port->shape[0] * port->item * 4;
  check(CALL(CREATE_TENSOR, (Ref, void *, size_t, const int64_t *, size_t, int32_t, Ref *))(
            memory, data, bytes, port->shape, port->rank, port->type, tensor),
        "tensor");
}

static void prepare(Worker *worker, int index, Ref memory, Ref allocator, int batch) {
  worker->batch = batch;
  worker->first = index * batch;
  describe(worker->session, allocator, 0, batch, &worker->in);
  describe(worker->session, allocator, 1, batch, &worker->out);
  size_t item_bytes = worker->in.item * 4, out_bytes = (size_t)batch * worker->out.item * 4;
  worker->in_bytes = aligned_alloc(64, ((size_t)batch * item_bytes + 63) / 64 * 64);
  worker->out_values = aligned_alloc(64, (out_bytes + 63) / 64 * 64);
  for (int row = 0; row < batch; row++) {
    size_t item = (size_t)((worker->first + row) % items);
    memcpy(worker->in_bytes + (size_t)row * item_bytes, all_inputs + item * item_bytes, item_bytes);
  }
  make_tensor(memory, worker->in_bytes, &worker->in, &worker->input);
  make_tensor(memory, worker->out_values, &worker->out, &worker->output);
}

/* ---- The loop ------------------------------------------------------------------------------------------ */

static void run_once(Worker *worker) {
  const char *in_names[] = {worker->in.name}, *out_names[] = {worker->out.name};
  Ref inputs[] = {worker->input}, outputs[] = {worker->output};
  check(CALL(RUN, (Ref, Ref, const char *const *, Ref const *, size_t, const char *const *, size_t, Ref *))(
            worker->session, NULL, in_names, inputs, 1, out_names, 1, outputs),
        "run");
}

static uint64_t wrong_rows(Worker *worker) {
  uint64_t wrong = 0;
  for (int row = 0; row < worker->batch; row++) {
    const float *got = worker->out_values + (size_t)row * worker->out.item;
    size_t item = (size_t)((worker->first + row) % items);
    const float *expected = (const float *)all_outputs + item * worker->out.item;
    for (int i = 0; i < checked_count; i++)
      if (!(fabsf(got[checked[i]] - expected[checked[i]]) <= TOLERANCE_1E6 / 1e6f)) {
        wrong++;
        break;
      }
  }
  return wrong;
}

static void *work(void *argument) {
  Worker *worker = argument;
  uint64_t start = now_ns() + (uint64_t)(warm_up_ms * 1e6);
  do run_once(worker);
  while (now_ns() < start);
  pthread_barrier_wait(&barrier);
  uint64_t from = now_ns(), end = from + (uint64_t)(measure_ms * 1e6);
  while (from < end) {
    run_once(worker);
    uint64_t to = now_ns();
    worker->histogram[bucket_of(to - from)]++;
    worker->runs++;
    from = to;
    worker->wrong += wrong_rows(worker);
    memset(worker->out_values, 0xff, 4 * worker->out.item * (size_t)worker->batch);
  }
  return NULL;
}

/* Peak of this program alone: getrusage's also counts the process that started it. */
static double peak_resident_mb(void) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  double kb = 0;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "VmHWM: %lf", &kb) == 1) break;
  if (file) fclose(file);
  if (kb > 0) return kb / 1024;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / 1024;
}

static void print_result(int runs, int batch, double seconds, const struct rusage *before) {
  static uint64_t histogram[BUCKETS];
  uint64_t count = 0, wrong = 0;
  for (int i = 0; i < runs; i++) {
    count += workers[i].runs;
    wrong += workers[i].wrong;
    for (int k = 0; k < BUCKETS; k++) histogram[k] += workers[i].histogram[k];
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu_us = 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec - before->ru_utime.tv_sec -
                                 before->ru_stime.tv_sec) +
                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec - before->ru_utime.tv_usec -
                           before->ru_stime.tv_usec);
  double requests = (double)count * batch;
  printf("{\"cell\":\"all\",\"requests\":%.0f,\"wrong\":%llu,\"requests_per_s\":%.1f,"
         "\"p50_us\":%.3f,\"p99_us\":%.3f,\"loop_delay_p50_ms\":null,\"loop_delay_p99_ms\":null,"
         "\"loop_delay_max_ms\":null,\"rss_mb\":%.1f,"
         "\"mean_batch\":%d,\"cpu_us_per_request\":%.3f,\"cpu_cores\":%.3f}\n",
         requests, (unsigned long long)wrong, requests / seconds, percentile_us(histogram, count, 0.5),
         percentile_us(histogram, count, 0.99), peak_resident_mb(), batch,
         cpu_us / requests, cpu_us / 1e6 / seconds);
}

static void open_sessions(const char *model, int intra, int runs, int shared, int batch) {
  Ref env, options, allocator, memory;
  check(CALL(CREATE_ENV, (int32_t, const char *, Ref *))(2, "ortloop", &env), "environment");
  check(CALL(CREATE_SESSION_OPTIONS, (Ref *))(&options), "options");
  check(CALL(SET_INTRA_OP_THREADS, (Ref, int32_t))(options, intra), "threads");
  check(CALL(DEFAULT_ALLOCATOR, (Ref *))(&allocator), "allocator");
  check(CALL(CPU_MEMORY_INFO, (int32_t, int32_t, Ref *))(1, 0, &memory), "memory");
  for (int i = 0; i < runs; i++) {
    Ref *session = &workers[i].session;
    if (i > 0 && shared) *session = workers[0].session;
    else
      check(CALL(CREATE_SESSION, (Ref, const char *, Ref, Ref *))(env, model, options, session), "session");
    prepare(&workers[i], i, memory, allocator, batch);
  }
}

int main(int argc, char **argv) {
  if (argc != 13) {
    fprintf(stderr, "error: expected 12 arguments, see the head of the source\n");
    return 2;
  }
  for (char *text = strtok(argv[5], ","); text && checked_count < MAX_CHECKED; text = strtok(NULL, ","))
    checked[checked_count++] = atoi(text);
  items = atoi(argv[6]);
  int batch = atoi(argv[7]), intra = atoi(argv[8]), runs = atoi(argv[9]), shared = atoi(argv[10]);
  warm_up_ms = atof(argv[11]);
  measure_ms = atof(argv[12]);
  if (runs < 1 || runs > MAX_THREADS || batch < 1) return 2;
  all_inputs = read_file(argv[3]);
  all_outputs = read_file(argv[4]);
  open_library(argv[1]);
  open_sessions(argv[2], intra, runs, shared, batch);

  pthread_t threads[MAX_THREADS];
  struct rusage before;
  pthread_barrier_init(&barrier, NULL, (unsigned)runs + 1);
  for (int i = 0; i < runs; i++) pthread_create(&threads[i], NULL, work, &workers[i]);
  pthread_barrier_wait(&barrier);
  uint64_t from = now_ns();
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < runs; i++) pthread_join(threads[i], NULL);
  print_result(runs, batch, (double)(now_ns() - from) / 1e9, &before);
  fflush(stdout);
  _Exit(0); /* the sessions' own threads need no farewell */
}
