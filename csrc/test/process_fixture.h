/* What the tests of Process[X] share: opening through the host program, and looking at our own children. */
#ifndef PROCESS_FIXTURE_H
#define PROCESS_FIXTURE_H

#include <dirent.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include "../fault.h"
#include "fixture.h"

#define COLUMNS 4

/* Opens X of "X;key=value" in child processes. */
static inline int32_t open_process(const char *inner, const void *bytes, size_t byte_count, uint32_t *model) {
  char options[4096];
  snprintf(options, sizeof options, "backend=Process;host=%s;inner=%s", getenv("TRTPIPE_HOST"), inner);
  return open_model(options, bytes, byte_count, model);
}

static inline int32_t open_onnx_process(const void *bytes, size_t byte_count, uint32_t *model) {
  char inner[2048];
  snprintf(inner, sizeof inner, "OnnxTensor;onnxruntime=%s", getenv("TRTPIPE_ONNXRUNTIME"));
  return open_process(inner, bytes, byte_count, model);
}

/* State letter and parent of a process; 0 if there is none of that number. */
static inline char process_state(long pid, long *parent) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *file = fopen(path, "r");
  size_t got = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
  if (file != NULL) fclose(file);
  text[got] = '\0';
  /* The name before it is in brackets, and may hold some itself. */
  const char *after = strrchr(text, ')');
  char state = 0;
  if (after == NULL || sscanf(after + 1, " %c %ld", &state, parent) != 2) return 0;
  return state;
}

/* Our children, zombies included; `first` is one of them. */
static inline int child_count(pid_t *first) {
  int count = 0;
  DIR *all = opendir("/proc");
  CHECK(all != NULL);
  for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
    long pid = strtol(entry->d_name, NULL, 10), parent = 0;
    if (pid <= 0 || process_state(pid, &parent) == 0 || parent != getpid()) continue;
    if (first != NULL) *first = (pid_t)pid;
    count++;
  }
  closedir(all);
  return count;
}

static inline pid_t only_child(void) {
  pid_t pid = 0;
  CHECK_EQUAL(1, child_count(&pid));
  return pid;
}

/* Kills a child and waits until it is dead; taking its exit is not our business. */
static inline void kill_child(pid_t pid) {
  CHECK_EQUAL(0, kill(pid, SIGKILL));
  for (long parent = 0, state; (state = process_state(pid, &parent)) != 0 && state != 'Z';) sleep_us(100);
}

static inline int descriptor_count(void) {
  int count = 0;
  DIR *all = opendir("/proc/self/fd");
  CHECK(all != NULL);
  while (readdir(all) != NULL) count++;
  closedir(all);
  return count;
}

/*
 * Has the sanitizers of child processes write what they find into this folder, and not wait a second at their
 * end. With `deaths`, children die as they would without a sanitizer, which sees in a signal or an exit() a
 * fault of ours.
 */
static inline void watch_children(char folder[32], int deaths) {
  snprintf(folder, 32, "/tmp/trtpipe-children-XXXXXX");
  CHECK(mkdtemp(folder) != NULL);
  static const char *const names[] = {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char options[2048];
    const char *given = getenv(names[i]);
    snprintf(options, sizeof options, "%s:log_path=%s/report%s%s%s", given != NULL ? given : "", folder,
             i == 1 ? ":atexit_sleep_ms=0" : "", deaths && i < 2 ? ":handle_segv=0:handle_abort=0" : "",
             deaths && i == 0 ? ":detect_leaks=0" : "");
    CHECK_EQUAL(0, setenv(names[i], options, 1));
  }
}

/* No child's sanitizer found anything. */
static inline void check_children(const char *folder) {
  if (rmdir(folder) != 0) FAIL("a sanitizer wrote about a child process: see %s", folder);
}

static inline fixture start_fault(const char *more) {
  char inner[256];
  uint32_t model = 0;
  snprintf(inner, sizeof inner, "Fault;shape=%d%s", COLUMNS, more);
  CHECK_EQUAL(TP_OK, open_process(inner, NULL, 0, &model));
  return make_fixture(model, 4, 1, 2, (uint64_t[]){4 * COLUMNS, 4 * COLUMNS});
}

static inline void finish_process(fixture *f) {
  end_fixture(f);
  CHECK_EQUAL(TP_OK, tp_model_close(f->model));
  CHECK_EQUAL(0, tp_handle_count());
  CHECK_EQUAL(0, child_count(NULL));
}

/* Runs two rows, the second of which asks for something. */
static inline int32_t ask(const fixture *f, float opcode, float argument) {
  for (uint32_t row = 0; row < 2; row++) {
    set_row(f, row, 0, 2 * row);
    float *x = slot_data(f, 0, 2 * row, 0);
    memcpy(x, (float[COLUMNS]){0, argument, (float)row + 0.5f, -1}, sizeof(float[COLUMNS]));
    if (row == 1) x[0] = opcode;
    memset(slot_data(f, 0, 2 * row, 1), 0, sizeof(float[COLUMNS]));
  }
  return tp_instance_run(f->instance, 2);
}

/* A run that has to go well, with its own rows. */
static inline void check_answers(const fixture *f, float mark) {
  CHECK_EQUAL(TP_OK, ask(f, TP_FAULT_NONE, mark));
  for (uint32_t row = 0; row < 2; row++) {
    CHECK_EQUAL(0, memcmp(slot_data(f, 0, 2 * row, 0), slot_data(f, 0, 2 * row, 1), sizeof(float[COLUMNS])));
  }
}

#endif
