#define _GNU_SOURCE /* pipe2 */
#include "tensorrt_host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_program.h"
#include "memory.h"
#include "status.h"

#define ARGUMENTS_MAX 32

extern char **environ;

/* One build: files in a folder of its own, the program, and what it says. */
typedef struct host {
  char folder[256];
  char onnx[300], plan[300];
  char *arguments[ARGUMENTS_MAX];
  size_t count;
  tp_text said; /* the end of it is what counts: the start is dropped when it is full */
} host;

static int32_t failed(const char *doing, int error) {
  char reason[128];
  return tp_fail(TP_ERR_OPEN, "cannot build an engine: %s: %s", doing,
                 tp_errno_text(error, reason, sizeof reason));
}

static int32_t add_argument(host *h, const char *key, const char *value) {
  size_t bytes = strlen(key) + strlen(value) + 2;
  char *text = h->count + 1 < ARGUMENTS_MAX ? tp_alloc(bytes) : NULL;
  if (text == NULL) return TP_ERR_MEMORY;
  snprintf(text, bytes, "%s%s%s", key, *key != '\0' ? "=" : "", value);
  h->arguments[h->count++] = text;
  return TP_OK;
}

static int32_t find_program(const tp_options *options, host *h) {
  char *program = tp_host_program(options);
  if (program == NULL) return TP_ERR_MEMORY;
  char reason[128];
  int32_t status =
      access(program, X_OK) == 0
          ? add_argument(h, "", program)
          : tp_fail(TP_ERR_LIBRARY, "cannot build an engine: the program \"%s\" cannot be run: %s", program,
                    tp_errno_text(errno, reason, sizeof reason));
  tp_free(program);
  return status;
}

/* The options that are the build's, and the very library that is open here. */
static int32_t add_options(const tp_trt *trt, const tp_options *options, host *h) {
  static const char *const passed[] = {"cuda",
                                       "tensorrt_parser",
                                       "device_id",
                                       "precision",
                                       "max_workspace_size",
                                       "optimization_level",
                                       "min",
                                       "max",
                                       "compute_capability",
                                       "cuda_graph"};
  int32_t status = add_argument(h, "", "build");
  if (status == TP_OK) status = add_argument(h, "tensorrt", trt->path);
  const char *key = NULL, *value = NULL;
  while (status == TP_OK && (key = tp_options_record(options, key, &value)) != NULL) {
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
      if (strcmp(key, passed[i]) == 0) status = add_argument(h, key, value);
    }
  }
  return status;
}

static int32_t make_files(host *h, const char *path, const tp_bytes *model) {
  const char *base = getenv("TMPDIR");
  snprintf(h->folder, sizeof h->folder, "%.200s/trtpipe-XXXXXX",
           base != NULL && *base != '\0' ? base : "/tmp");
  if (mkdtemp(h->folder) == NULL) {
    h->folder[0] = '\0';
    return failed("no folder for it", errno);
  }
  snprintf(h->onnx, sizeof h->onnx, "%s/model.onnx", h->folder);
  snprintf(h->plan, sizeof h->plan, "%s/plan", h->folder);
  int32_t status = path == NULL ? tp_file_write(h->onnx, model, 1) : TP_OK;
  if (status == TP_OK) status = add_argument(h, "onnx", path != NULL ? path : h->onnx);
  return status == TP_OK ? add_argument(h, "plan", h->plan) : status;
}

static void remove_files(host *h) {
  for (size_t i = 0; i < h->count; i++) tp_free(h->arguments[i]);
  if (h->folder[0] == '\0') return;
  unlink(h->onnx);
  unlink(h->plan);
  rmdir(h->folder);
}

/* Starts the program: `in` ends with this process, `out` is all that it says. */
static int start_program(host *h, int in, int out, pid_t *child) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int error = posix_spawn_file_actions_init(&files);
  if (error != 0) return error;
  error = posix_spawnattr_init(&attributes);
  if (error == 0) {
    /* A runtime blocks or ignores signals that a program expects to have. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, out, 2);
    error = posix_spawn(child, h->arguments[0], &files, &attributes, h->arguments, environ);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&files);
  return error;
}

static void listen_to(host *h, int from) {
  tp_text *said = &h->said;
  for (;;) {
    if (sizeof said->text - 1 - said->length < 512) {
      memmove(said->text, said->text + 512, said->length - 512);
      said->length -= 512;
    }
    ssize_t got = read(from, said->text + said->length, sizeof said->text - 1 - said->length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    said->length += (size_t)got;
  }
  said->text[said->length] = '\0';
}

/* How the program ended, in its own words if it had any. */
static int32_t judge(host *h, int how) {
  char *found = strstr(h->said.text, TP_TRT_HOST_SAYS);
  int status = 0, skip = 0;
  if (found != NULL && sscanf(found + strlen(TP_TRT_HOST_SAYS), "%d %n", &status, &skip) == 1 && status < 0)
    return tp_fail(status, "%s", found + strlen(TP_TRT_HOST_SAYS) + skip);
  if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return TP_OK;
  for (size_t i = 0; i < h->said.length; i++) {
    if ((unsigned char)h->said.text[i] < 0x20) h->said.text[i] = ' ';
  }
  size_t from = h->said.length > 600 ? h->said.length - 600 : 0;
  return tp_fail(TP_ERR_PARSE, "cannot build an engine: the program that builds it ended with %s %d%s%s",
                 WIFSIGNALED(how) ? "signal" : "status", WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how),
                 h->said.length > 0 ? "; it said: " : "", h->said.text + from);
}

static int32_t run_program(host *h) {
  int in[2], out[2], how = 0;
  pid_t child;
  /* No other program that this process starts may hold them open. */
  if (pipe2(in, O_CLOEXEC) != 0) return failed("no pipe", errno);
  if (pipe2(out, O_CLOEXEC) != 0) {
    int error = errno;
    close(in[0]);
    close(in[1]);
    return failed("no pipe", error);
  }
  int error = start_program(h, in[0], out[1], &child);
  close(in[0]);
  close(out[1]);
  if (error == 0) {
    listen_to(h, out[0]);
    pid_t ended;
    do ended = waitpid(child, &how, 0);
    while (ended < 0 && errno == EINTR);
    /* Where somebody else has taken the answer, what it said and the plan tell as much. */
    if (ended < 0 && errno != ECHILD) error = errno;
  }
  close(in[1]);
  close(out[0]);
  return error != 0 ? failed(h->arguments[0], error) : judge(h, how);
}

int32_t tp_trt_build_apart(const tp_trt *trt, const tp_options *options, const char *path,
                           const tp_bytes *model, tp_bytes *plan) {
  host *h = tp_alloc(sizeof *h);
  if (h == NULL) return TP_ERR_MEMORY;
  int32_t status = find_program(options, h);
  if (status == TP_OK) status = add_options(trt, options, h);
  if (status == TP_OK) status = make_files(h, path, model);
  if (status == TP_OK) status = run_program(h);
  if (status == TP_OK) status = tp_file_read(h->plan, plan);
  remove_files(h);
  tp_free(h);
  return status;
}
