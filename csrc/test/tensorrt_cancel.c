/*
 * A build that is cancelled while it ends, many times: the moment is sought at which one half of them still
 * end by themselves. Either is well; nothing is left behind of both, no file and no process.
 */
#define _DEFAULT_SOURCE /* usleep */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trt_fixture.h"

enum { ROUNDS = 120 };

static char folder[] = "/tmp/trtpipe-cancel-XXXXXX";
static char cache[64], scratch[64];

typedef struct opening {
  uint32_t watched, model;
  int32_t status;
  char text[512];
} opening;

static void *open_watched(void *argument) {
  opening *o = argument;
  char options[256];
  onnx_writer w = negation(2);
  snprintf(options, sizeof options, "model::cache=%s;build=%u", cache, o->watched);
  o->status = open_trt(options, w.model.data, w.model.length, &o->model);
  tp_last_error(o->text, sizeof o->text);
  onnx_free(&w);
  return NULL;
}

static void *cancel(void *argument) {
  int32_t running = tp_build_cancel(((opening *)argument)->watched);
  if (running != 0 && running != 1) FAIL("cancelling gave %d", running);
  return NULL;
}

static int files_in(const char *path) {
  DIR *dir = opendir(path);
  int count = 0;
  CHECK(dir != NULL);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The status of a build that is cancelled after so long, by two threads at once; below 0: by none. */
static int32_t build(double after_us) {
  opening o = {0};
  pthread_t opener, cancellers[2];
  CHECK_EQUAL(TP_OK, tp_build_open(&o.watched));
  CHECK_EQUAL(0, pthread_create(&opener, NULL, open_watched, &o));
  if (after_us >= 0) {
    usleep((useconds_t)after_us);
    for (int i = 0; i < 2; i++) CHECK_EQUAL(0, pthread_create(&cancellers[i], NULL, cancel, &o));
    for (int i = 0; i < 2; i++) CHECK_EQUAL(0, pthread_join(cancellers[i], NULL));
  }
  CHECK_EQUAL(0, pthread_join(opener, NULL));
  CHECK_EQUAL(TP_OK, tp_build_close(o.watched));
  if (o.status == TP_OK) CHECK_EQUAL(TP_OK, tp_model_close(o.model));
  else if (o.status != TP_ERR_INTERRUPTED) FAIL("status %d: %s", o.status, o.text);
  else if (strstr(o.text, "the build of the engine was cancelled") == NULL) FAIL("%s", o.text);
  check_nothing_left();
  CHECK_EQUAL(0, files_in(scratch));
  /* What it kept may be there, and the lock, nothing else. */
  int kept = (access(cache, F_OK) == 0) + 1;
  char timing[80];
  snprintf(timing, sizeof timing, "%s.timing", cache);
  kept += access(timing, F_OK) == 0;
  CHECK_EQUAL(kept + 1, files_in(folder));
  if (o.status == TP_OK) CHECK_EQUAL(0, access(cache, F_OK));
  errno = 0;
  CHECK_EQUAL(-1, waitpid(-1, NULL, WNOHANG));
  CHECK_EQUAL(ECHILD, errno);
  return o.status;
}

int main(void) {
  need_fakes();
  CHECK(mkdtemp(folder) != NULL);
  snprintf(cache, sizeof cache, "%s/model.trt", folder);
  snprintf(scratch, sizeof scratch, "%s/scratch", folder);
  CHECK_EQUAL(0, mkdir(scratch, 0700));
  CHECK_EQUAL(0, setenv("TMPDIR", scratch, 1));
  double start_us = now_us();
  CHECK_EQUAL(TP_OK, build(-1));
  double after_us = now_us() - start_us;
  int cancelled = 0;
  for (int round = 0; round < ROUNDS; round++) {
    unlink(cache);
    /* A third of them anywhere in the build. */
    double jitter = round % 3 == 0 ? (double)(round % 10) / 10 : 0.9 + (double)(round * 7 % 21) / 100;
    bool ended = build(after_us * jitter) == TP_OK;
    cancelled += !ended;
    if (round % 3 != 0) after_us *= ended ? 0.95 : 1.05;
  }
  if (cancelled == 0 || cancelled == ROUNDS) FAIL("%d of %d were cancelled", cancelled, ROUNDS);
  unlink(cache);
  CHECK_EQUAL(TP_OK, build(-1));
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command) == 0 ? 0 : 1;
}
