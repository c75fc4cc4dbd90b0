/* Every function with arguments at random: any status will do, but no crash, no hang, nothing left behind. */
#include "fixture.h"

enum { KNOWN = 24, CALLS = 2000 };

static uint64_t random_state;
static uint32_t known[KNOWN];     /* handles that were given out, live and stale, of all kinds */
static uint32_t given[2 * CALLS]; /* all handles that were given out for this seed */
static uint32_t given_count;
static uint32_t ready;       /* the instance that was last bound as it should be */
static uint32_t batches;     /* runs that went well, to know that this gets anywhere */
static uint64_t words[1024]; /* where buffers point to */

static uint32_t any(uint32_t below) { return next_random(&random_state) % below; }

/* Remembers what a call gave out. */
static void note(int32_t status, const uint32_t *handle) {
  if (status != TP_OK) return;
  CHECK(*handle != 0 && given_count < 2 * CALLS);
  given[given_count++] = *handle;
  known[any(KNOWN)] = *handle;
}

static uint32_t any_handle(void) {
  switch (any(10)) {
    case 8:
    case 9: return ready;
    case 0: return next_random(&random_state);
    case 1: return known[any(KNOWN)] ^ 1u << any(32);
    default: return known[any(KNOWN)];
  }
}

static uint32_t any_number(void) {
  static const uint32_t edges[] = {0, 1, 2, 3, 4, 16, 255, 256, 65535, 65536, INT32_MAX, UINT32_MAX};
  return any(4) == 0 ? next_random(&random_state) : edges[any(sizeof edges / sizeof edges[0])];
}

/* A buffer of `bytes` bytes at least, or NULL. */
static void *any_buffer(uint64_t bytes, uint64_t *got) {
  uint64_t room = sizeof words - any(64);
  *got = bytes < room ? bytes : room;
  return any(10) == 0 ? NULL : (uint8_t *)words + (sizeof words - room);
}

static void open_one(void) {
  static const char *const choices[] = {
      "backend=Identity;shape=4",          "backend=Fault;shape=2",
      "backend=Identity;shape=-1x3",       "backend=Identity;shape=0",
      "backend=TensorrtTensor;path=x",     "backend=Identity;shape=3;output_shape=900",
      "backend=Identity;dtype=7",          "backend=Fault;fail_create=1",
      "backend=OnnxTensor;path=/dev/null", "backend=Identity;shape=4x1x2"};
  char options[128];
  size_t length =
      (size_t)snprintf(options, sizeof options, "%s", choices[any(sizeof choices / sizeof choices[0])]);
  for (size_t i = 0; i < length; i++) {
    if (options[i] == ';') options[i] = '\0';
  }
  if (any(4) == 0) options[any((uint32_t)length)] = (char)any(256);
  uint64_t bytes;
  void *model = any(4) == 0 ? any_buffer(any(100), &bytes) : NULL;
  uint32_t handle = 0;
  uint32_t *out = any(50) == 0 ? NULL : &handle;
  note(
      tp_model_open(any(50) == 0 ? NULL : options, any(8) == 0 ? any((uint32_t)length) : (uint32_t)length + 1,
                    model, model != NULL ? bytes : any(2), out),
      &handle);
}

static void bind_layout(void) {
  uint64_t offsets[TP_MAX_TENSORS], strides[TP_MAX_TENSORS];
  for (int k = 0; k < TP_MAX_TENSORS; k++) {
    offsets[k] = any(4) == 0 ? any_number() : any(256);
    strides[k] = any(4) == 0 ? (uint64_t)any_number() << any(33) : any(64);
  }
  tp_instance_bind_layout(any_handle(), any(20) == 0 ? NULL : offsets, any(20) == 0 ? NULL : strides,
                          any(4) == 0 ? any_number() : 2);
}

/* The batch that instances are bound to: filled at random before each run. */
static union {
  tp_batch batch;
  uint8_t bytes[sizeof(tp_batch) + 64 * sizeof(tp_row)];
} block;

/* An instance with all its bindings, to start from. */
static void make_ready(void) {
  uint32_t handle = 0;
  open_one();
  if (given_count == 0) return;
  int32_t status = tp_instance_create(given[given_count - 1], 4, 1, &handle);
  note(status, &handle);
  if (status != TP_OK) return;
  ready = handle;
  tp_instance_bind_layout(ready, (uint64_t[]){0, 4096}, (uint64_t[]){64, any(3) ? 64 : any(64)}, 2);
  tp_instance_bind_channel(ready, 0, words, sizeof words, 8);
  tp_instance_bind_channel(ready, 1, words, sizeof words, 8);
  tp_instance_bind_batch(ready, &block, sizeof block);
}

static void run(void) {
  tp_row *rows = (tp_row *)(void *)(&block.batch + 1);
  block.batch.flags = any(2);
  for (int d = 0; d < TP_MAX_RANK; d++)
    block.batch.dims[0][d] = any(2) ? (int32_t)any(5) : (int32_t)any_number();
  /* An order to the Fault backend could take long, or end the process: rows hold zeros, which it echoes. */
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) words[i] = 0;
  for (uint32_t row = 0; row < 64; row++) {
    rows[row] = (tp_row){.channel = any(8) ? any(2) : any_number(), .slot = any(8) ? any(3) : any_number()};
  }
  block.batch.result = 0;
  int32_t status = tp_instance_run(any_handle(), any(4) == 0 ? any_number() : any(5));
  batches += status == TP_OK;
  if (block.batch.result != 0) note(status, &block.batch.result);
}

/* Options of tp_device_open, for a process with the fake driver. */
static char driver[4096];

/* Memory that may be wrapped: it stays until everything is given back, whatever is released meanwhile. */
static uint32_t base;
enum { BASE_BYTES = 3000, BASE_REFERENCES = 1 << 30 };

static uint64_t base_address(void) {
  uint64_t info[4] = {0};
  if (base == 0 && tp_device_allocate(0, BASE_BYTES, &base) == TP_OK)
    CHECK_EQUAL(TP_OK, tp_device_retain(base, BASE_REFERENCES));
  tp_device_info(base, info);
  return info[1];
}

static void device_call(void) {
  uint32_t handle = 0, handles[4] = {any_handle(), any_handle(), any_handle(), any_handle()};
  uint64_t bytes, numbers[4];
  void *buffer = any_buffer(any(4000), &bytes);
  uint32_t *out = any(20) == 0 ? NULL : &handle;
  uint32_t device = any(8) ? any(3) : any_number();
  switch (any(11)) {
    case 0:
      tp_device_open(device, any(8) ? driver : buffer, any(8) ? (uint32_t)strlen(driver) + 1 : any(9));
      break;
    case 1:
    case 2: note(tp_device_allocate(device, any(40) ? any(4000) : (uint64_t)1 << any(64), out), out); break;
    case 3:
      note(tp_device_wrap(device,
                          any(4) ? base_address() + any(BASE_BYTES) : (uint64_t)any_number() << any(33),
                          any_number(), out),
           out);
      break;
    case 4: tp_device_info(any_handle(), any(20) == 0 ? NULL : numbers); break;
    case 5: tp_device_retain(any_handle(), any(2) ? any(3) : any_number()); break;
    case 6: tp_device_release(any_handle(), any(2) ? any(3) : any_number()); break;
    case 7: tp_device_write(any_handle(), any(2) ? any(100) : any_number(), buffer, bytes); break;
    case 8: tp_device_read(any_handle(), any(2) ? any(100) : any_number(), buffer, bytes); break;
    case 9: note(tp_device_join(any(20) == 0 ? NULL : handles, any(5), out), out); break;
    default:
      note(tp_result_device(any_handle(), any(4), any(4), any(2), out), out);
      tp_device_limit(device, any(2) ? 0 : any(100000));
      tp_device_usage(device, any(20) == 0 ? NULL : numbers);
      tp_instance_bind_device_rows(any_handle(), any_number(), any_number());
  }
}

/* What the library tells about itself and about the last failure, into buffers of any size. */
static void ask_about(void) {
  uint64_t bytes;
  void *buffer = any_buffer(any_number(), &bytes);
  uint32_t cap = buffer != NULL ? (uint32_t)bytes : any_number();
  if (any(2))
    tp_describe(buffer, cap);
  else
    tp_last_error(buffer, cap);
  CHECK_EQUAL(TP_ABI_MAJOR, tp_abi_version() >> 16);
}

static void build_call(void) {
  uint64_t bytes;
  uint32_t handle = 0;
  note(tp_build_open(any(10) == 0 ? NULL : &handle), &handle);
  void *text = any_buffer(any(200), &bytes);
  tp_build_progress(any_handle(), text, text != NULL ? (uint32_t)bytes : any_number());
  tp_build_cancel(any_handle());
  tp_build_close(any_handle());
}

/* Within `words`, all of it: pieces that overlap are refused. */
static void copy_in(void) {
  uint64_t bytes = any(sizeof words / 2);
  void *from = (uint8_t *)words + any((uint32_t)(sizeof words - bytes));
  uint64_t offset = any((uint32_t)(sizeof words - bytes));
  tp_copy_in(any(20) == 0 ? NULL : words, any(20) == 0 ? UINT64_MAX - any(9000) : offset,
             any(20) == 0 ? NULL : from, any(20) == 0 ? UINT64_MAX - any(9000) : bytes,
             any(20) == 0 ? any_number() : any(2));
}

static void one_call(void) {
  uint64_t bytes;
  uint32_t handle = 0;
  void *buffer;
  switch (any(26)) {
    case 20:
    case 21:
    case 22:
    case 23: device_call(); break;
    case 24: copy_in(); break;
    case 0: open_one(); break;
    case 18: ask_about(); break;
    case 19: build_call(); break;
    case 17: make_ready(); break;
    case 1:
      buffer = any_buffer(any_number(), &bytes);
      tp_model_describe(any_handle(), buffer, buffer != NULL ? (uint32_t)bytes : any_number());
      break;
    case 2: tp_model_close(any_handle()); break;
    case 3:
    case 4:
      note(tp_instance_create(any_handle(), any(3) ? 1 + any(64) : any(300), any(3) ? 1 : any_number(),
                              &handle),
           &handle);
      break;
    case 5:
    case 6: bind_layout(); break;
    case 7:
    case 8: {
      buffer = any_buffer(any_number(), &bytes);
      tp_instance_bind_channel(any_handle(), any(2) ? any(2) : any_number(), buffer, bytes,
                               any(2) ? any(8) : any_number());
      break;
    }
    case 9:
      tp_instance_bind_batch(any_handle(), any(10) == 0 ? NULL : &block,
                             any(4) == 0 ? any(sizeof block) : sizeof block);
      break;
    case 10:
    case 11:
    case 12: run(); break;
    case 13:
      if (any(2))
        tp_instance_interrupt(any_handle());
      else
        tp_instance_interrupt_run(any_handle(), any_number());
      break;
    case 14: tp_instance_destroy(any(4) ? any_number() : any_handle()); break;
    case 15:
      buffer = any_buffer(any(4000), &bytes);
      tp_result_copy(any_handle(), any(2) ? any(4) : any_number(), any(2) ? 0 : any_number(), buffer, bytes);
      break;
    case 16: tp_result_release(any_handle()); break;
    default:
      note(tp_thread_watch(any(10) == 0 ? NULL : &handle), &handle);
      tp_thread_alive(any_handle());
      tp_thread_unwatch(any_handle());
      tp_layout(any_number());
  }
}

/* Gives back everything that is still open. */
static void give_back(void) {
  uint64_t numbers[4];
  if (base != 0 && tp_device_info(base, numbers) == TP_OK)
    CHECK_EQUAL(TP_OK, tp_device_release(base, (uint32_t)numbers[3]));
  base = 0;
  for (; given_count > 0; given_count--) {
    uint32_t handle = given[given_count - 1];
    tp_instance_destroy(handle);
    tp_thread_unwatch(handle);
    tp_build_close(handle);
    tp_model_close(handle);
    while (tp_result_release(handle) == TP_OK) {}
    uint64_t info[4];
    if (tp_device_info(handle, info) == TP_OK)
      CHECK_EQUAL(TP_OK, tp_device_release(handle, (uint32_t)info[3]));
  }
}

int main(int count, char **arguments) {
  uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
  double end = tp_clock_ms() + 2000;
  uint32_t calls = 0;
  const char *fake = getenv("TRTPIPE_FAKE_CUDA");
  snprintf(driver, sizeof driver, "cuda=%s", fake != NULL ? fake : "libcuda.so.1");
  for (; tp_clock_ms() < end; seed++) {
    random_state = seed;
    for (int i = 0; i < CALLS; i++, calls++) one_call();
    give_back();
    if (tp_handle_count() != 0)
      FAIL("seed %llu left %u handles open", (unsigned long long)seed, tp_handle_count());
  }
  printf("%u calls, %u batches, seeds up to %llu\n", calls, batches, (unsigned long long)seed);
  CHECK(calls >= CALLS && batches > 0);
  return 0;
}
