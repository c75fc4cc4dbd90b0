/*
 * Each call of the driver's fails in turn, and each request for memory of our own, in all that tensors on
 * two devices, pinned slots and outputs that stay on the device need. It is told in the right words, the same
 * once more goes well, every number is right, and nothing is left behind.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <sys/mman.h>
#include <unistd.h>

#include "../memory.h"
#include "device_fixture.h"

/* Slots large enough to be pinned. */
enum { COLUMNS = 4096, ITEM = COLUMNS * 4, SLOTS = 8, REF_BYTES = sizeof(tp_device_ref), MAX_N = 300 };

static char engine[300];

/* What was ordered, what it is to be told as, and whether it was. */
static struct {
  const char *name, *words;
  int32_t status;
  int told;
} order;

static void tell(int32_t status, const char *call) {
  order.told++;
  if (status != order.status) FAIL("%s: %s gave %d, expected %d", order.name, call, status, order.status);
  CHECK_ERROR(order.words);
}

/* What fails must go well at once when it is done again. */
#define AGAIN(call)             \
  do {                          \
    int32_t status_ = (call);   \
    if (status_ != TP_OK) {     \
      tell(status_, #call);     \
      CHECK_EQUAL(TP_OK, call); \
    }                           \
  } while (0)

typedef struct user {
  uint32_t model, instance;
  uint8_t *payload;
  uint64_t bytes, refs;
  struct {
    tp_batch head;
    tp_row rows[4];
  } block;
} user;

static void begin(user *u, const char *more) {
  char options[512];
  const uint64_t offsets[2] = {0, ITEM * SLOTS}, strides[2] = {ITEM, ITEM};
  *u = (user){.refs = 2 * ITEM * SLOTS, .bytes = 2 * ITEM * SLOTS + SLOTS * REF_BYTES};
  u->block.head.flags = TP_BATCH_CLAIM;
  u->payload = mmap(NULL, u->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(u->payload != MAP_FAILED);
  snprintf(options, sizeof options, "path=%s;max=4;%s", engine, more);
  AGAIN(open_trt(options, NULL, 0, &u->model));
  AGAIN(tp_instance_create(u->model, 4, 1, &u->instance));
  AGAIN(tp_instance_bind_layout(u->instance, offsets, strides, 2));
  AGAIN(tp_instance_bind_device_rows(u->instance, u->refs, REF_BYTES));
  AGAIN(tp_instance_bind_channel(u->instance, 0, u->payload, u->bytes, SLOTS));
  AGAIN(tp_instance_bind_batch(u->instance, &u->block, sizeof u->block));
}

static void end(user *u) {
  CHECK_EQUAL(TP_OK, tp_instance_destroy(u->instance));
  CHECK_EQUAL(TP_OK, tp_model_close(u->model));
  CHECK_EQUAL(0, pinned_bytes());
  CHECK_EQUAL(0, munmap(u->payload, u->bytes));
}

static float *floats(const user *u, uint32_t slot, uint32_t k) {
  return (float *)(void *)(u->payload + (k * SLOTS + slot) * ITEM);
}

/* Row `row` lies in slot 2 * row, or is the first row of a tensor. */
static void put(user *u, uint32_t row, uint32_t tensor, float first) {
  u->block.rows[row].slot = 2 * row;
  ((tp_device_ref *)(void *)(u->payload + u->refs))[2 * row] = (tp_device_ref){.tensor = tensor};
  for (int i = 0; i < COLUMNS; i++) floats(u, 2 * row, 0)[i] = tensor == 0 ? first + (float)i : 0;
}

static void check(const float *got, float first, const char *what) {
  for (int i = 0; i < COLUMNS; i++) {
    if (got[i] != -(first + (float)i)) FAIL("%s: element %d is %g", what, i, (double)got[i]);
  }
}

static uint32_t make_tensor(uint32_t device, float first) {
  uint32_t tensor = 0;
  float values[COLUMNS];
  for (int i = 0; i < COLUMNS; i++) values[i] = first + (float)i;
  AGAIN(tp_device_allocate(device, ITEM, &tensor));
  AGAIN(tp_device_write(tensor, 0, values, ITEM));
  return tensor;
}

/* Rows of the host, of the instance's device and of another one; outputs in pinned slots. */
static void mixed_rows(void) {
  user u;
  begin(&u, "spin_us=20");
  for (uint32_t row = 0; row < 4; row++) put(&u, row, 0, (float)row);
  AGAIN(tp_instance_run(u.instance, 4));
  for (uint32_t row = 0; row < 4; row++) check(floats(&u, 2 * row, 1), (float)row, "a row of the host");
  uint32_t tensors[2] = {make_tensor(0, 100), make_tensor(1, 200)};
  put(&u, 1, tensors[0], 0);
  put(&u, 3, tensors[1], 0);
  AGAIN(tp_instance_run(u.instance, 4));
  check(floats(&u, 0, 1), 0, "a row of the host beside others");
  check(floats(&u, 2, 1), 100, "a row of the device");
  check(floats(&u, 6, 1), 200, "a row of the other device");
  for (int i = 0; i < 2; i++) CHECK_EQUAL(1, info_of(tensors[i], 3));
  for (int i = 0; i < 2; i++) CHECK_EQUAL(TP_OK, tp_device_release(tensors[i], 1));
  end(&u);
}

/* Outputs that stay; what is joined from both devices; memory of others. */
static void device_outputs(void) {
  static float values[3 * COLUMNS];
  user u;
  begin(&u, "spin_us=0;output=device");
  for (uint32_t row = 0; row < 2; row++) put(&u, row, 0, (float)(10 * row));
  AGAIN(tp_instance_run(u.instance, 2));
  uint32_t result = u.block.head.result, parts[3] = {0}, joined = 0, wrapped = 0;
  CHECK_EQUAL(1, usage_of(0, 0));
  for (uint32_t row = 0; row < 2; row++) {
    u.block.rows[row].result = 0;
    AGAIN(tp_result_device(result, row, 1, 0, &parts[row]));
    CHECK_EQUAL(TP_OK, tp_result_release(result));
  }
  parts[2] = make_tensor(1, 5);
  AGAIN(tp_device_join(parts, 3, &joined));
  AGAIN(tp_device_wrap(0, info_of(joined, 1), ITEM, &wrapped));
  AGAIN(tp_device_read(joined, 0, values, sizeof values));
  check(values, 0, "the first part");
  check(values + COLUMNS, 10, "the second part");
  CHECK(values[2 * COLUMNS] == 5 && values[3 * COLUMNS - 1] == 5 + COLUMNS - 1);
  AGAIN(tp_device_read(wrapped, 0, values, ITEM));
  check(values, 0, "what was wrapped");
  for (uint32_t i = 0; i < 3; i++) CHECK_EQUAL(TP_OK, tp_device_release(parts[i], 1));
  CHECK_EQUAL(TP_OK, tp_device_release(wrapped, 1));
  CHECK_EQUAL(TP_OK, tp_device_release(joined, 1));
  end(&u);
}

/* What nobody takes, before there is any stream to give memory back in. */
static void unclaimed_outputs(void) {
  user u;
  begin(&u, "output=device");
  put(&u, 0, 0, 1);
  AGAIN(tp_instance_run(u.instance, 1));
  AGAIN(tp_instance_run(u.instance, 1));
  CHECK_EQUAL(1, usage_of(0, 0));
  end(&u);
}

static void (*const scenarios[])(void) = {mixed_rows, device_outputs, unclaimed_outputs};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

/* One round; whether what was ordered has come to pass. */
static bool happens(void (*scenario)(void), const char *name, int n, int error, int32_t status) {
  char words[64];
  snprintf(words, sizeof words, "(CUDA error %d: ", error);
  order.name = name;
  order.words = words;
  order.status = status;
  fail_cuda(name, n, error);
  scenario();
  bool happened = !cuda_failure_pending();
  fail_cuda(NULL, 0, 0);
  check_devices_empty();
  return happened;
}

/* `quiet`: what it fails is done another way, or there is nobody to tell. Others are always told. */
static void calls(void) {
  static const struct {
    const char *name;
    int32_t status;
    bool quiet;
  } cases[] = {
      {"cuCtxSetCurrent", TP_ERR_DEVICE, true},
      {"cuStreamCreateWithPriority", TP_ERR_MEMORY, true},
      {"cuEventCreate", TP_ERR_MEMORY, true},
      {"cuEventRecord", TP_ERR_EXECUTION, false},
      {"cuEventQuery", TP_ERR_EXECUTION, false},
      {"cuEventSynchronize", TP_ERR_EXECUTION, false},
      {"cuStreamSynchronize", TP_ERR_EXECUTION, true},
      {"cuMemAllocAsync", TP_ERR_MEMORY, false},
      {"cuMemcpyHtoDAsync_v2", TP_ERR_EXECUTION, false},
      {"cuMemcpyDtoHAsync_v2", TP_ERR_EXECUTION, false},
      {"cuMemcpyDtoDAsync_v2", TP_ERR_EXECUTION, false},
      {"cuMemcpyPeerAsync", TP_ERR_EXECUTION, false},
      {"cuMemHostAlloc", TP_ERR_MEMORY, false},
      {"cuMemHostRegister_v2", 0, true},
      {"cuMemHostUnregister", 0, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int all = 0;
    for (int s = 0; s < SCENARIOS; s++) {
      for (int error = 1; error <= 2; error++) {
        int n = 0;
        order.told = 0;
        int32_t status = error == 2 ? TP_ERR_MEMORY : cases[i].status;
        while (happens(scenarios[s], cases[i].name, n + 1, error, status)) {
          n++;
          /* As often as the waits last. */
          if (n == 40 && strcmp(cases[i].name, "cuEventQuery") == 0) break;
          if (n == MAX_N) FAIL("%s never stops failing", cases[i].name);
        }
        if (!cases[i].quiet) CHECK_EQUAL(n, order.told);
        all += n;
      }
    }
    if (all == 0) FAIL("%s was never called", cases[i].name);
  }
}

static void memory(void) {
  order.name = "memory";
  order.words = "cannot get ";
  order.status = TP_ERR_MEMORY;
  order.told = 0;
  for (int s = 0; s < SCENARIOS; s++) {
    bool happened = true;
    for (uint64_t n = 1; happened; n++) {
      tp_alloc_fail_at(n);
      scenarios[s]();
      happened = !tp_alloc_fail_pending();
      tp_alloc_fail_at(0);
      check_devices_empty();
      if (n == 10 * MAX_N) FAIL("memory never stops failing");
    }
  }
  CHECK(order.told > 20);
}

int main(void) {
  need_fakes();
  char folder[] = "/tmp/trtpipe-device-XXXXXX", options[400];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(engine, sizeof engine, "%s/negation.engine", folder);
  uint32_t model = 0;
  onnx_writer w = negation(COLUMNS);
  snprintf(options, sizeof options, "max=4;model::cache=%s", engine);
  CHECK_EQUAL(TP_OK, open_trt(options, w.model.data, w.model.length, &model));
  onnx_free(&w);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  open_device(0);
  open_device(1);
  calls();
  memory();
  static const char *const ends[] = {"", ".lock", ".timing"};
  for (int i = 0; i < 3; i++) {
    snprintf(options, sizeof options, "%s%s", engine, ends[i]);
    unlink(options);
  }
  CHECK_EQUAL(0, rmdir(folder));
  return 0;
}
