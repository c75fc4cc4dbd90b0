#include "tensorrt_monitor.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "tensorrt_object.h"

#define PHASES 16
#define NAME_BYTES 120
/* What lies before TensorRT's own work: starting it, and reading the model. */
#define FIRST_PERMILLE 20.0
/* Lines come no closer together than this, but for a new phase. */
#define EVERY_MS 50.0

/* A phase that runs; it lies behind the one that it is a part of. */
typedef struct phase {
  char name[NAME_BYTES];
  int parent; /* -1: none */
  int32_t steps, done;
} phase;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock`. */
static int to = -1;
static phase phases[PHASES];
static int count;
static uint32_t highest;
static double last_ms;

static void write_line(uint32_t permille, const char *stage) {
  char line[NAME_BYTES + 16];
  int length = snprintf(line, sizeof line, "%u %.*s\n", permille, NAME_BYTES - 1, stage);
  if (to < 0) return;
  /* Lines are shorter than what a pipe takes at once, so none is torn. */
  ssize_t put = write(to, line, (size_t)length);
  (void)put;
  last_ms = tp_clock_ms();
}

/* Share of a phase that is done: its steps, and of the present step as much as the part furthest ahead. */
static double share(int index) {
  double inner = 0;
  for (int i = index + 1; i < count; i++) {
    double part = phases[i].parent == index ? share(i) : 0;
    if (part > inner) inner = part;
  }
  const phase *p = &phases[index];
  if (p->steps < 1) return inner;
  double done = (p->done < p->steps ? p->done + inner : p->steps) / p->steps;
  return done < 1 ? done : 1;
}

static void tell(bool now) {
  double whole = count > 0 ? share(0) : 0;
  uint32_t permille = (uint32_t)(FIRST_PERMILLE + whole * (1000.0 - FIRST_PERMILLE));
  bool further = permille > highest;
  if (further) highest = permille;
  if (now || (further && tp_clock_ms() - last_ms >= EVERY_MS))
    write_line(highest, count > 0 ? phases[count - 1].name : "");
}

static int find(const char *name) {
  int i = count - 1;
  while (name != NULL && i >= 0 && strncmp(phases[i].name, name, NAME_BYTES - 1) != 0) i--;
  return name != NULL ? i : -1;
}

/* The three below are called by TensorRT on threads of its own. */

static void phase_start(void *self, const char *name, const char *parent, int32_t steps) {
  (void)self;
  pthread_mutex_lock(&lock);
  if (count < PHASES && name != NULL) {
    phase *p = &phases[count];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->parent = find(parent);
    p->steps = steps;
    p->done = 0;
    count++;
    tell(true);
  }
  pthread_mutex_unlock(&lock);
}

/* False would end the build; who wants that ends this process. */
static bool step_complete(void *self, const char *name, int32_t step) {
  (void)self;
  pthread_mutex_lock(&lock);
  int index = find(name);
  if (index >= 0 && step + 1 > phases[index].done) phases[index].done = step + 1;
  tell(false);
  pthread_mutex_unlock(&lock);
  return true;
}

static void phase_finish(void *self, const char *name) {
  (void)self;
  pthread_mutex_lock(&lock);
  int index = find(name);
  if (index >= 0) {
    phases[index].done = phases[index].steps;
    tell(false);
    for (int i = index; i + 1 < count; i++) {
      phases[i] = phases[i + 1];
      if (phases[i].parent == index) phases[i].parent = -1;
      else if (phases[i].parent > index) phases[i].parent--;
    }
    count--;
  }
  pthread_mutex_unlock(&lock);
}

static tp_trt_interface interface_info(const void *self) {
  (void)self;
  return (tp_trt_interface){"IProgressMonitor", 1, 0};
}

static tp_trt_table table = {.slots = {(tp_function)tp_trt_language, (tp_function)interface_info,
                                       (tp_function)tp_trt_no_destructor, (tp_function)tp_trt_no_destructor,
                                       (tp_function)phase_start, (tp_function)step_complete,
                                       (tp_function)phase_finish}};

void tp_trt_monitor_begin(int file) {
  pthread_mutex_lock(&lock);
  to = file;
  count = 0;
  highest = 0;
  if (to >= 0) fcntl(to, F_SETFL, fcntl(to, F_GETFL) | O_NONBLOCK);
  pthread_mutex_unlock(&lock);
}

void tp_trt_monitor_tell(uint32_t permille, const char *stage) {
  pthread_mutex_lock(&lock);
  if (permille > highest) highest = permille;
  write_line(highest, stage);
  pthread_mutex_unlock(&lock);
}

void *tp_trt_monitor(void) {
  static const tp_function *monitor;
  tp_trt_table_finish(&table);
  monitor = table.slots;
  return &monitor;
}
