/* Fault: see fault.h for what it can be asked to do. */
#include "fault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dtype.h"
#include "echo.h"
#include "memory.h"
#include "status.h"

typedef struct fault_model {
  uint32_t fail_create; /* this instance fails to be created, counted from 1; 0: none does */
  _Atomic uint32_t created;
  _Atomic uint32_t device_lost;
} fault_model;

typedef struct fault_instance {
  fault_model *model;
  const tp_model_info *info;
  uint32_t capacity;
  bool sticky;
  pthread_mutex_t lock; /* of `released` */
  pthread_cond_t wake;
  bool released; /* interrupted, until the run is over */
} fault_instance;

typedef struct order {
  int64_t opcode, argument;
} order;

static const tp_option_key keys[] = {{"backend", false}, TP_ECHO_KEYS, {"fail_create", false}, {NULL, false}};

static int32_t open_fault(const tp_options *options, const void *bytes, uint64_t byte_count,
                          tp_model_info *info, void **state) {
  (void)bytes;
  (void)byte_count;
  uint32_t fail_create;
  int32_t status = tp_options_number(options, "fail_create", 0, UINT32_MAX, 0, &fail_create);
  if (status == TP_OK) status = tp_echo_open(options, "trtpipe " TRTPIPE_VERSION " (faults)", info);
  if (status != TP_OK) return status;
  fault_model *model = tp_alloc(sizeof *model);
  if (model == NULL) return TP_ERR_MEMORY;
  model->fail_create = fail_create;
  *state = model;
  return TP_OK;
}

static int32_t create(void *state, const tp_model_info *info, uint32_t capacity, void **instance_out) {
  fault_model *model = state;
  uint32_t number = atomic_fetch_add(&model->created, 1) + 1;
  if (number == model->fail_create) {
    return tp_fail(TP_ERR_EXECUTION, "cannot create instance %u: fail_create says so", number);
  }
  fault_instance *x = tp_alloc(sizeof *x);
  if (x == NULL) return TP_ERR_MEMORY;
  x->model = model;
  x->info = info;
  x->capacity = capacity;
  pthread_mutex_init(&x->lock, NULL);
  pthread_cond_init(&x->wake, NULL);
  *instance_out = x;
  return TP_OK;
}

static void destroy(void *instance) {
  fault_instance *x = instance;
  pthread_cond_destroy(&x->wake);
  pthread_mutex_destroy(&x->lock);
  tp_free(x);
}

static void set_released(fault_instance *x, bool released) {
  pthread_mutex_lock(&x->lock);
  x->released = released;
  pthread_cond_broadcast(&x->wake);
  pthread_mutex_unlock(&x->lock);
}

static void interrupt(void *instance) { set_released(instance, true); }
static void resume(void *instance) { set_released(instance, false); }

static int32_t hang(fault_instance *x) {
  pthread_mutex_lock(&x->lock);
  while (!x->released) pthread_cond_wait(&x->wake, &x->lock);
  pthread_mutex_unlock(&x->lock);
  return tp_fail(TP_ERR_EXECUTION, "the row hung and was released");
}

static void sleep_ms(int64_t ms) {
  if (ms <= 0) return;
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0) {}
}

static void spin_us(int64_t us) {
  double end = tp_clock_ms() + (double)us / 1e3;
  while (tp_clock_ms() < end) {}
}

static int32_t status_of(int64_t argument) {
  return argument >= -TP_ERR_ARGUMENT && argument <= -TP_ERR_INTERNAL ? (int32_t)-argument : TP_ERR_EXECUTION;
}

static order order_of(const fault_instance *x, const tp_run *run, uint32_t row) {
  int32_t dtype = x->info->tensors[0].dtype;
  uint64_t size = tp_dtype_bytes(dtype), bytes = run->item_bytes[0];
  const uint8_t *item = run->data[0] + row * bytes;
  return (order){
      bytes >= size ? tp_dtype_integer(dtype, item) : TP_FAULT_NONE,
      bytes >= 2 * size ? tp_dtype_integer(dtype, item + size) : 0,
  };
}

static int32_t fail_allocation(int64_t argument) {
  tp_alloc_fail_at(argument > 0 ? (uint64_t)argument : 0);
  void *own = tp_alloc(64);
  tp_free(own);
  return own != NULL ? TP_OK : TP_ERR_MEMORY;
}

/* Hides from the compiler what an address is, so that it neither warns nor removes what we do with it. */
static void *opaque(uintptr_t address) {
  volatile uintptr_t hidden = address;
  return (void *)hidden;
}

static void leak(int64_t bytes) {
  uint8_t *memory = bytes > 0 ? tp_alloc((size_t)bytes) : NULL;
  if (memory != NULL) *(volatile uint8_t *)memory = 1;
}

static int32_t wrong_rows(const tp_run *run, int64_t rows) {
  if (rows == (int64_t)run->run_rows) return TP_OK;
  return tp_fail(TP_ERR_SPLIT, "cannot split output \"output\": first dimension is %lld for a batch of %u",
                 (long long)rows, run->run_rows);
}

/* What concerns the batch as a whole, and happens before anything is written. */
static int32_t act(fault_instance *x, const tp_run *run, uint32_t row) {
  order o = order_of(x, run, row);
  switch (o.opcode) {
    case TP_FAULT_SLEEP_MS: sleep_ms(o.argument); return TP_OK;
    case TP_FAULT_SPIN_US: spin_us(o.argument); return TP_OK;
    case TP_FAULT_HANG: return hang(x);
    case TP_FAULT_FAIL_BATCH: return tp_fail(status_of(o.argument), "the batch fails: row %u says so", row);
    case TP_FAULT_ROW_COUNT: return wrong_rows(run, o.argument);
    case TP_FAULT_STICKY: x->sticky = true; return TP_OK;
    case TP_FAULT_ALLOC: return fail_allocation(o.argument);
    case TP_FAULT_LEAK: leak(o.argument); return TP_OK;
    case TP_FAULT_ABORT: abort();
    case TP_FAULT_SEGV: return *(volatile int32_t *)opaque(8);
    case TP_FAULT_EXIT: exit(o.argument != 0 ? (int)o.argument : 3);
    case TP_FAULT_DEVICE_LOST: atomic_store(&x->model->device_lost, 1); return TP_OK;
    default: return TP_OK;
  }
}

/* Echoes one row, but for the tail that TP_FAULT_SHORT leaves as it is. */
static void echo_row(const fault_instance *x, const tp_run *run, uint32_t row, uint8_t *to) {
  order o = order_of(x, run, row);
  if (row >= run->rows || o.opcode != TP_FAULT_SHORT) {
    tp_echo_rows(x->info, run, row, 1, to);
    return;
  }
  uint64_t in = run->item_bytes[0], out = tp_echo_output_bytes(x->info, run);
  uint64_t missing = o.argument > 0 ? (uint64_t)o.argument : out / 2;
  uint64_t written = missing < out ? out - missing : 0;
  if (written > in) written = in;
  if (written > 0) memcpy(to + row * out, run->data[0] + row * in, written);
}

/* All bits set is a NaN in every floating-point type. */
static void write_nan(uint8_t *item, uint64_t bytes) {
  if (bytes > 0) memset(item, 0xFF, bytes);
}

static void swap(uint8_t *a, uint8_t *b, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; i++) {
    uint8_t byte = a[i];
    a[i] = b[i];
    b[i] = byte;
  }
}

static void overrun(uint8_t *end, int64_t bytes) {
  volatile uint8_t *at = opaque((uintptr_t)end);
  for (int64_t i = 0; i < (bytes > 0 ? bytes : 1); i++) at[i] = 0xEE;
}

/* What concerns one row, after all are written: its status. */
static int32_t spoil(const fault_instance *x, const tp_run *run, uint32_t row, uint8_t *to) {
  order o = order_of(x, run, row);
  uint64_t bytes = tp_echo_output_bytes(x->info, run);
  uint64_t next = o.argument > 0 ? (uint64_t)o.argument : 1;
  switch (o.opcode) {
    case TP_FAULT_NAN: write_nan(to + row * bytes, bytes); return TP_OK;
    case TP_FAULT_SWAP: swap(to + row * bytes, to + (row + next) % run->rows * bytes, bytes); return TP_OK;
    case TP_FAULT_OVERRUN:
      overrun(to + (run->data[1] ? x->capacity : run->run_rows) * bytes, o.argument);
      return TP_OK;
    case TP_FAULT_FAIL_ROW: return tp_fail(status_of(o.argument), "row %u fails: it says so", row);
    default: return TP_OK;
  }
}

static int32_t health(const fault_instance *x) {
  if (atomic_load(&x->model->device_lost)) return tp_fail(TP_ERR_DEVICE, "the device is lost: a row said so");
  if (x->sticky) return tp_fail(TP_ERR_EXECUTION, "the instance fails for good: a row said so");
  return TP_OK;
}

static int32_t run_fault(void *instance, tp_run *run) {
  fault_instance *x = instance;
  int32_t status = health(x);
  for (uint32_t row = 0; status == TP_OK && row < run->rows; row++) status = act(x, run, row);
  if (status == TP_OK) status = health(x);
  uint8_t *to = NULL;
  if (status == TP_OK) status = tp_echo_place(x->info, run, &to);
  if (status != TP_OK) return status;
  for (uint32_t row = 0; row < run->run_rows; row++) echo_row(x, run, row, to);
  for (uint32_t row = 0; row < run->rows; row++) {
    run->row_status[row] = spoil(x, run, row, to);
    if (run->row_status[row] != TP_OK) status = TP_ERR_ROWS;
  }
  return status;
}

static void close_fault(void *model) { tp_free(model); }

const tp_backend tp_backend_fault = {
    .name = "Fault",
    .keys = keys,
    /* Never in place: a write past the end must not reach a neighbour's slot. */
    .in_place_bytes = UINT64_MAX,
    .open = open_fault,
    .close = close_fault,
    .instance_create = create,
    .run = run_fault,
    .destroy = destroy,
    .release_output = tp_echo_release,
    .interrupt = interrupt,
    .resume = resume,
};
