#define _GNU_SOURCE /* memfd_create, SOCK_CLOEXEC, F_DUPFD_CLOEXEC */
#include "process_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "status.h"

extern char **environ;

/* Above all numbers that a child's descriptors get, so that putting one in its place never covers another. */
#define ABOVE 16
#define CHILD_ENDS (TP_HOST_MODEL + 1)

/* A copy of a descriptor above the child's numbers; -1, and that is noted, when there is none left. */
static int above(int fd, int *failed) {
  int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, ABOVE) : -1;
  if (copy < 0 && *failed == 0) *failed = fd >= 0 ? errno : EBADF;
  return copy;
}

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* The descriptors that the child gets, by their numbers there, and our ends. Returns 0 or an errno value. */
static int make_ends(int shared_file, int model_file, tp_child *child, int ends[CHILD_ENDS]) {
  int work[2] = {-1, -1}, control[2] = {-1, -1}, failed = 0;
  /* Ours may be closed, and their numbers must not go to what is opened here. Some runtimes mark them
     close-on-exec. */
  bool has_stdout = is_open(STDOUT_FILENO), has_stderr = is_open(STDERR_FILENO);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, work) != 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0) {
    failed = errno;
  }
  child->work = work[0];
  child->control = control[0];
  child->errors = memfd_create("trtpipe-errors", MFD_CLOEXEC);
  if (child->errors < 0 && failed == 0) failed = errno;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  ends[STDIN_FILENO] = above(null, &failed);
  ends[STDOUT_FILENO] = above(has_stdout ? STDOUT_FILENO : null, &failed);
  ends[TP_HOST_STDERR] = above(has_stderr ? STDERR_FILENO : null, &failed);
  ends[STDERR_FILENO] = above(child->errors, &failed);
  ends[TP_HOST_WORK] = above(work[1], &failed);
  ends[TP_HOST_CONTROL] = above(control[1], &failed);
  ends[TP_HOST_SHARED] = above(shared_file, &failed);
  if (model_file >= 0) ends[TP_HOST_MODEL] = above(model_file, &failed);
  if (null >= 0) close(null);
  if (work[1] >= 0) close(work[1]);
  if (control[1] >= 0) close(control[1]);
  return failed;
}

/* All signals as a program expects them at its start: our process may block or ignore some. */
static int set_signals(posix_spawnattr_t *attributes) {
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int failed = posix_spawnattr_setsigdefault(attributes, &all);
  if (failed == 0) failed = posix_spawnattr_setsigmask(attributes, &none);
  if (failed == 0) {
    failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  return failed;
}

/* Returns 0 or an errno value. */
static int start(const char *host, const int ends[CHILD_ENDS], pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed != 0) return failed;
  failed = posix_spawnattr_init(&attributes);
  if (failed != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return failed;
  }
  for (int fd = 0; failed == 0 && fd < CHILD_ENDS; fd++) {
    if (ends[fd] >= 0) failed = posix_spawn_file_actions_adddup2(&actions, ends[fd], fd);
  }
  if (failed == 0) failed = set_signals(&attributes);
  char parent[24];
  snprintf(parent, sizeof parent, "%ld", (long)getpid());
  char serve[] = "serve";
  char *arguments[] = {(char *)(uintptr_t)host, serve, parent, NULL};
  if (failed == 0) failed = posix_spawn(pid, host, &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

int32_t tp_spawn(const char *host, int shared_file, int model_file, tp_child *child) {
  int ends[CHILD_ENDS] = {-1, -1, -1, -1, -1, -1, -1, -1};
  tp_child made = {0};
  char reason[128];
  int32_t status = TP_OK;
  int failed = make_ends(shared_file, model_file, &made, ends);
  if (failed != 0) {
    status = tp_fail(TP_ERR_MEMORY, "cannot start a child process: no descriptors: %s",
                     tp_errno_text(failed, reason, sizeof reason));
  } else if ((failed = start(host, ends, &made.pid)) != 0) {
    status = tp_fail(TP_ERR_LIBRARY, "cannot start the host program \"%s\": %s", host,
                     tp_errno_text(failed, reason, sizeof reason));
  }
  for (int fd = 0; fd < CHILD_ENDS; fd++) {
    if (ends[fd] >= 0) close(ends[fd]);
  }
  if (status == TP_OK) {
    *child = made;
    return TP_OK;
  }
  if (made.work >= 0) close(made.work);
  if (made.control >= 0) close(made.control);
  if (made.errors >= 0) close(made.errors);
  return status;
}
