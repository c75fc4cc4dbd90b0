#include "process_reap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "api.h"

/* How long a killed child may take to be gone. */
#define KILL_MS 2000
/* Children remembered; with more of them than this the machine has other troubles. */
#define LEFT_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Killed, but not gone: 0 is a free place. */
static pid_t left[LEFT_MAX];

int tp_reap(pid_t pid, double limit_ms, int *how) {
  double deadline = tp_clock_ms() + limit_ms;
  for (;;) {
    pid_t reaped = waitpid(pid, how, WNOHANG);
    if (reaped == pid) return 1;
    if (reaped < 0 && errno != EINTR) return -1;
    if (tp_clock_ms() >= deadline) return 0;
    struct timespec pause = {0, 200000};
    nanosleep(&pause, NULL);
  }
}

static void reap_left(void) {
  int how;
  for (int i = 0; i < LEFT_MAX; i++) {
    if (left[i] != 0 && tp_reap(left[i], 0, &how) != 0) left[i] = 0;
  }
}

static void remember(pid_t pid) {
  for (int i = 0; i < LEFT_MAX; i++) {
    if (left[i] != 0) continue;
    left[i] = pid;
    return;
  }
}

void tp_kill(pid_t pid) {
  int how;
  kill(pid, SIGKILL);
  int gone = tp_reap(pid, KILL_MS, &how);
  pthread_mutex_lock(&lock);
  reap_left();
  if (gone == 0) remember(pid);
  pthread_mutex_unlock(&lock);
}
