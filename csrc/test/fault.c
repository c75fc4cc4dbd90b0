/* Every opcode of the Fault backend does what fault.h says. */
#include "../fault.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../memory.h"
#include "fixture.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#else
#define HAS_TSAN 0
#endif

enum { COLUMNS = 4 };

static fixture start(const char *more) {
  char options[128];
  uint32_t model = 0;
  snprintf(options, sizeof options, "backend=Fault;shape=%d%s", COLUMNS, more);
  CHECK_EQUAL(TP_OK, open_model(options, NULL, 0, &model));
  return make_fixture(model, 4, 1, 2, (uint64_t[]){4 * COLUMNS, 4 * COLUMNS});
}

static void finish(fixture *f) {
  end_fixture(f);
  CHECK_EQUAL(TP_OK, tp_model_close(f->model));
  CHECK_EQUAL(0, tp_handle_count());
}

static void order(const fixture *f, uint32_t row, float opcode, float argument) {
  set_row(f, row, 0, 2 * row);
  float *x = slot_data(f, 0, 2 * row, 0);
  x[0] = opcode;
  x[1] = argument;
  x[2] = (float)row + 0.5f;
  x[3] = -(float)row;
}

static void all_rows_echo(const fixture *f, uint32_t rows) {
  for (uint32_t row = 0; row < rows; row++) order(f, row, TP_FAULT_NONE, (float)row);
}

static int echoed(const fixture *f, uint32_t from, uint32_t to) {
  return memcmp(slot_data(f, 0, 2 * from, 0), slot_data(f, 0, 2 * to, 1), 4 * COLUMNS) == 0;
}

/* Runs three rows of which the middle one asks for something. */
static int32_t ask(const fixture *f, float opcode, float argument) {
  all_rows_echo(f, 3);
  order(f, 1, opcode, argument);
  return tp_instance_run(f->instance, 3);
}

static void times(void) {
  fixture f = start("");
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NONE, 0));
  for (uint32_t row = 0; row < 3; row++) CHECK(echoed(&f, row, row));
  double before = tp_clock_ms();
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SLEEP_MS, 20));
  CHECK(tp_clock_ms() - before >= 20);
  before = tp_clock_ms();
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SPIN_US, 3000));
  CHECK(tp_clock_ms() - before >= 3);
  CHECK(echoed(&f, 1, 1));
  finish(&f);
}

static void failures(void) {
  fixture f = start("");
  CHECK_FAILS(TP_ERR_EXECUTION, "row 1 says so", ask(&f, TP_FAULT_FAIL_BATCH, 0));
  CHECK_EQUAL(TP_ERR_MEMORY, ask(&f, TP_FAULT_FAIL_BATCH, 4));
  CHECK_EQUAL(TP_ERR_INTERNAL, ask(&f, TP_FAULT_FAIL_BATCH, 14));
  CHECK_EQUAL(TP_ERR_EXECUTION, ask(&f, TP_FAULT_FAIL_BATCH, 15));
  CHECK_FAILS(TP_ERR_ROWS, "row 1 fails", ask(&f, TP_FAULT_FAIL_ROW, 12));
  CHECK_EQUAL(TP_OK, row_of(&f, 0)->status);
  CHECK_EQUAL(TP_ERR_DEVICE, row_of(&f, 1)->status);
  CHECK_EQUAL(TP_OK, row_of(&f, 2)->status);
  CHECK(echoed(&f, 0, 0) && echoed(&f, 2, 2));
  CHECK_FAILS(TP_ERR_SPLIT, "cannot split output \"output\": first dimension is 7 for a batch of 3",
              ask(&f, TP_FAULT_ROW_COUNT, 7));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_ROW_COUNT, 3));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NONE, 0));
  finish(&f);
}

static void wrong_outputs(void) {
  fixture f = start("");
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NAN, 0));
  const float *y = slot_data(&f, 0, 2, 1);
  for (int i = 0; i < COLUMNS; i++) CHECK(isnan(y[i]));
  CHECK(echoed(&f, 0, 0) && echoed(&f, 2, 2));

  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SHORT, 4)); /* the last number is the one of the run before */
  CHECK_EQUAL(TP_FAULT_SHORT, y[0]);
  CHECK(isnan(y[3]));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NAN, 0));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SHORT, 0));
  CHECK(y[1] == 0 && isnan(y[2]) && isnan(y[3]));
  CHECK(echoed(&f, 0, 0) && echoed(&f, 2, 2));

  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SWAP, 0));
  CHECK(echoed(&f, 0, 0) && echoed(&f, 1, 2) && echoed(&f, 2, 1));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SWAP, 2));
  CHECK(echoed(&f, 1, 0) && echoed(&f, 0, 1) && echoed(&f, 2, 2));
  finish(&f);
}

static void lasting(void) {
  fixture f = start("");
  uint32_t second = 0;
  CHECK_EQUAL(TP_ERR_EXECUTION, ask(&f, TP_FAULT_STICKY, 0));
  CHECK_FAILS(TP_ERR_EXECUTION, "for good", ask(&f, TP_FAULT_NONE, 0));
  end_fixture(&f);
  f = make_fixture(f.model, 4, 1, 2, (uint64_t[]){4 * COLUMNS, 4 * COLUMNS});
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NONE, 0));
  CHECK_EQUAL(TP_ERR_DEVICE, ask(&f, TP_FAULT_DEVICE_LOST, 0));
  end_fixture(&f);
  f = make_fixture(f.model, 4, 1, 2, (uint64_t[]){4 * COLUMNS, 4 * COLUMNS});
  CHECK_FAILS(TP_ERR_DEVICE, "device is lost", ask(&f, TP_FAULT_NONE, 0));
  finish(&f);

  CHECK_EQUAL(TP_OK, open_model("backend=Fault;fail_create=2", NULL, 0, &f.model));
  CHECK_EQUAL(TP_OK, tp_instance_create(f.model, 1, 1, &f.instance));
  CHECK_FAILS(TP_ERR_EXECUTION, "instance 2", tp_instance_create(f.model, 1, 1, &second));
  CHECK_EQUAL(TP_OK, tp_instance_create(f.model, 1, 1, &second));
  CHECK_EQUAL(TP_OK, tp_instance_destroy(f.instance));
  CHECK_EQUAL(TP_OK, tp_instance_destroy(second));
  CHECK_EQUAL(TP_OK, tp_model_close(f.model));
}

static void allocations(void) {
  fixture f = start("");
  uint32_t instance = 0;
  CHECK_FAILS(TP_ERR_MEMORY, "64 bytes", ask(&f, TP_FAULT_ALLOC, 1));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NONE, 0));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_ALLOC, 2));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_NONE, 0)); /* a run of a fixed shape asks for no memory */
  CHECK_EQUAL(TP_ERR_MEMORY, tp_instance_create(f.model, 1, 1, &instance));
  CHECK_EQUAL(TP_OK, tp_instance_create(f.model, 1, 1, &instance));
  CHECK_EQUAL(TP_OK, tp_instance_destroy(instance));
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_ALLOC, 0));
  finish(&f);
}

/* Runs one order in a child process and tells how that ended. */
static int ending(float opcode, float argument) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    /* What a sanitizer or the kernel says about the child is expected. */
    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    fixture f = start("");
    ask(&f, opcode, argument);
    finish(&f);
    exit(0);
  }
  int status = 0;
  CHECK_EQUAL(child, waitpid(child, &status, 0));
  return status;
}

static void ends(void) {
  int status = ending(TP_FAULT_NONE, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  status = ending(TP_FAULT_ABORT, 0);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  status = ending(TP_FAULT_SEGV, 0);
  CHECK(HAS_ASAN || HAS_TSAN ? WIFEXITED(status) && WEXITSTATUS(status) != 0
                             : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
#if HAS_ASAN
  /* The sanitizers see what they are there for: controls of all other tests. */
  status = ending(TP_FAULT_OVERRUN, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 0);
  status = ending(TP_FAULT_LEAK, 1000);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 0);
#else
  status = ending(TP_FAULT_LEAK, 1000);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
  /* exit() runs the leak check too, which finds the fixture. */
  status = ending(TP_FAULT_EXIT, 5);
  CHECK(WIFEXITED(status) && (HAS_ASAN ? WEXITSTATUS(status) != 0 : WEXITSTATUS(status) == 5));
  status = ending(TP_FAULT_EXIT, 0);
  CHECK(WIFEXITED(status) && (HAS_ASAN ? WEXITSTATUS(status) != 0 : WEXITSTATUS(status) == 3));
}

/* Orders are read from every element type, and from rows of one number or none. */
static void element_types(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model("backend=Fault;shape=2;dtype=16", NULL, 0, &model));
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){4, 4});
  set_row(&f, 0, 0, 0);
  memcpy(slot_data(&f, 0, 0, 0), (uint16_t[]){0x4080, 0x4080}, 4); /* 4, 4 */
  CHECK_EQUAL(TP_ERR_MEMORY, tp_instance_run(f.instance, 1));
  finish(&f);
  CHECK_EQUAL(TP_OK, open_model("backend=Fault;dtype=7", NULL, 0, &model));
  f = make_fixture(model, 1, 1, 2, (uint64_t[]){8, 8});
  set_row(&f, 0, 0, 0);
  *(int64_t *)slot_data(&f, 0, 0, 0) = TP_FAULT_FAIL_BATCH;
  CHECK_EQUAL(TP_ERR_EXECUTION, tp_instance_run(f.instance, 1));
  finish(&f);
  CHECK_EQUAL(TP_OK, open_model("backend=Fault;shape=0", NULL, 0, &model));
  f = make_fixture(model, 1, 1, 2, (uint64_t[]){0, 0});
  set_row(&f, 0, 0, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  finish(&f);
}

int main(void) {
  times();
  failures();
  wrong_outputs();
  lasting();
  allocations();
  ends();
  element_types();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
