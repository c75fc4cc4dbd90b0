/* What becomes of a batch, an instance and a process when a child dies, hangs, or loses its device. */
#include "process_fixture.h"

#include <pthread.h>
#include <sys/wait.h>

/* One run lost; the next one is answered by another process. */
static void loses(fixture *f, float opcode, float argument, const char *how) {
  pid_t before = only_child();
  CHECK_FAILS(TP_ERR_LOST, how, ask(f, opcode, argument));
  check_answers(f, opcode);
  CHECK(only_child() != before);
}

static void crashes(void) {
  fixture f = start_fault("");
  check_answers(&f, 1);
  loses(&f, TP_FAULT_SEGV, 0, "that ran the batch ended: it was ended by signal 11");
  loses(&f, TP_FAULT_ABORT, 0, "it was ended by signal 6");
  loses(&f, TP_FAULT_EXIT, 7, "it ended with exit code 7");
  loses(&f, TP_FAULT_DEVICE_LOST, 0,
        "the device is lost: a row said so; the child process that used the device");
  /* A row's own status may say it, too. */
  loses(&f, TP_FAULT_FAIL_ROW, 12,
        "row 1 fails: it says so; the child process that used the device is replaced");
  finish_process(&f);
}

/* A batch that no process has seen when its process died is not lost. */
static void killed_idle(void) {
  fixture f = start_fault("");
  for (int i = 0; i < 10; i++) {
    kill_child(only_child());
    check_answers(&f, (float)i);
  }
  kill_child(only_child());
  finish_process(&f);
  /* Before the first instance was made, too. */
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_process("Fault;shape=4", NULL, 0, &model));
  kill_child(only_child());
  f = make_fixture(model, 4, 1, 2, (uint64_t[]){16, 16});
  check_answers(&f, 1);
  finish_process(&f);
}

typedef struct killer {
  pid_t pid;
  uint32_t after_us;
} killer;

static void *kill_later(void *argument) {
  const killer *k = argument;
  sleep_us(k->after_us);
  kill(k->pid, SIGKILL);
  return NULL;
}

static void killed_running(void) {
  fixture f = start_fault("");
  for (int i = 0; i < 5; i++) {
    pthread_t thread;
    killer k = {only_child(), 20000};
    CHECK_EQUAL(0, pthread_create(&thread, NULL, kill_later, &k));
    CHECK_FAILS(TP_ERR_LOST, "it was ended by signal 9", ask(&f, TP_FAULT_SLEEP_MS, 5000));
    CHECK_EQUAL(0, pthread_join(thread, NULL));
    check_answers(&f, (float)i);
  }
  finish_process(&f);
}

static void hangs(void) {
  fixture f = start_fault(";run_timeout=100");
  double before = tp_clock_ms();
  loses(&f, TP_FAULT_HANG, 0, "gave no answer within run_timeout, 100 ms: it was killed");
  /* What cannot be interrupted is ended as well. */
  loses(&f, TP_FAULT_SLEEP_MS, 60000, "gave no answer within run_timeout");
  CHECK(tp_clock_ms() - before >= 200);
  CHECK(tp_clock_ms() - before < 30000);
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_SLEEP_MS, 10));
  finish_process(&f);
}

/* Five deaths without an answer between them: the instance says so from then on, and starts no other
 * process. */
static void hopeless(void) {
  fixture f = start_fault("");
  double before = tp_clock_ms();
  for (int i = 0; i < 5; i++) CHECK_EQUAL(TP_ERR_LOST, ask(&f, TP_FAULT_SEGV, 0));
  /* 0, 20, 40 and 80 ms of patience. */
  CHECK(tp_clock_ms() - before >= 140);
  for (int i = 0; i < 3; i++) {
    CHECK_FAILS(TP_ERR_DEAD,
                "5 child processes in a row ended without an answer, the last one: it was ended by",
                ask(&f, TP_FAULT_NONE, 0));
  }
  CHECK_EQUAL(0, child_count(NULL));
  finish_process(&f);
}

/* A replacement that cannot start: each try is told, and they come to an end. */
static void unreplaceable(void) {
  char host[] = "/tmp/trtpipe-host-XXXXXX", options[256];
  int link_made = mkstemp(host);
  CHECK(link_made >= 0);
  close(link_made);
  CHECK_EQUAL(0, unlink(host));
  CHECK_EQUAL(0, symlink(getenv("TRTPIPE_HOST"), host));
  uint32_t model = 0;
  snprintf(options, sizeof options, "backend=Process;inner=Fault;shape=4;host=%s", host);
  CHECK_EQUAL(TP_OK, open_model(options, NULL, 0, &model));
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){16, 16});
  check_answers(&f, 1);
  CHECK_EQUAL(0, unlink(host));
  CHECK_EQUAL(TP_ERR_LOST, ask(&f, TP_FAULT_SEGV, 0));
  for (int i = 0; i < 3; i++) {
    CHECK_FAILS(TP_ERR_LOST, "cannot replace the child process: cannot start the host program",
                ask(&f, TP_FAULT_NONE, 0));
  }
  CHECK_FAILS(TP_ERR_DEAD, "No such file", ask(&f, TP_FAULT_NONE, 0));
  finish_process(&f);
}

/* A process that ends without giving anything back: its children end, too, while they run and while not. */
static void parent_dies(float opcode) {
  int ends[2];
  CHECK_EQUAL(0, pipe(ends));
  pid_t parent = fork();
  CHECK(parent >= 0);
  if (parent == 0) {
    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    fixture f = start_fault("");
    pid_t child = only_child();
    CHECK_EQUAL(sizeof child, write(ends[1], &child, sizeof child));
    if (opcode >= 0) ask(&f, opcode, 600000);
    pause();
  }
  pid_t child = 0;
  CHECK_EQUAL(sizeof child, read(ends[0], &child, sizeof child));
  long its_parent = 0;
  sleep_us(50000);
  CHECK(process_state(child, &its_parent) != 0);
  CHECK_EQUAL(parent, its_parent);
  CHECK_EQUAL(0, kill(parent, SIGKILL));
  CHECK_EQUAL(parent, waitpid(parent, NULL, 0));
  double until = tp_clock_ms() + 10000;
  for (char state; (state = process_state(child, &its_parent)) != 0 && state != 'Z';) {
    if (tp_clock_ms() > until) FAIL("the child outlives its parent by 10 s");
    sleep_us(1000);
  }
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  char reports[32];
  watch_children(reports, 1);
  crashes();
  killed_idle();
  killed_running();
  hangs();
  hopeless();
  unreplaceable();
  parent_dies(-1);
  parent_dies(TP_FAULT_SLEEP_MS);
  check_children(reports);
  return 0;
}
