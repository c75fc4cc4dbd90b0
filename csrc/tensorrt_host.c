#define _GNU_SOURCE /* pipe2 */
#include "tensorrt_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
/* The descriptor on which the program says how far it is, and its name among the arguments. */
#define PROGRESS 3
#define PROGRESS_TEXT "3"
/* Our ends of pipes lie above all that the program gets, so that none is put in another's place. */
#define ABOVE 16

extern char **environ;

/* One build: files in a folder of its own, the program, and what it says. */
typedef struct host {
  char folder[256];
  char onnx[300], plan[300], timing[300];
  tp_build *watched; /* NULL: by nobody */
  tp_text progress;  /* what came of a line that is not complete yet */
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
                                       "hardware_compatibility",
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

static int32_t make_files(host *h, const char *path, const tp_bytes *model, const tp_bytes *timing) {
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
  if (status == TP_OK) status = add_argument(h, "plan", h->plan);
  if (status != TP_OK || timing == NULL) return status;
  snprintf(h->timing, sizeof h->timing, "%s/timing", h->folder);
  status = add_argument(h, "timing", h->timing);
  return status == TP_OK && timing->count > 0 ? tp_file_write(h->timing, timing, 1) : status;
}

/* All that is there: a program that is killed while it writes leaves a file of another name. */
static void remove_files(host *h) {
  for (size_t i = 0; i < h->count; i++) tp_free(h->arguments[i]);
  if (h->folder[0] == '\0') return;
  unlink(h->onnx);
  unlink(h->plan);
  unlink(h->timing);
  DIR *folder = rmdir(h->folder) != 0 ? opendir(h->folder) : NULL;
  if (folder == NULL) return;
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
    (void)unlinkat(dirfd(folder), entry->d_name, 0);
  closedir(folder);
  rmdir(h->folder);
}

/* Starts the program: `in` ends with this process, `out` is all that it says, `progress` how far it is. */
static int start_program(host *h, const int ends[3], pid_t *child) {
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
    posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files, ends[2], PROGRESS);
    error = posix_spawn(child, h->arguments[0], &files, &attributes, h->arguments, environ);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&files);
  return error;
}

/* Reads what there is; false at the end. The start of a text that is full is dropped. */
static bool read_more(tp_text *text, int from) {
  if (sizeof text->text - 1 - text->length < 512) {
    memmove(text->text, text->text + 512, text->length - 512);
    text->length -= 512;
  }
  ssize_t got = read(from, text->text + text->length, sizeof text->text - 1 - text->length);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  text->length += (size_t)got;
  text->text[text->length] = '\0';
  return true;
}

/* Passes on the last complete line of what the program says of how far it is. */
static void pass_on(host *h) {
  tp_text *text = &h->progress;
  char *end = strrchr(text->text, '\n');
  if (end == NULL) return;
  *end = '\0';
  char *line = strrchr(text->text, '\n');
  line = line != NULL ? line + 1 : text->text;
  char *stage = NULL;
  unsigned long permille = strtoul(line, &stage, 10);
  tp_build_tell(h->watched, (uint32_t)permille, *stage == ' ' ? stage + 1 : stage);
  text->length -= (size_t)(end + 1 - text->text);
  memmove(text->text, end + 1, text->length + 1);
}

/* Until the program closes both, which it does when it ends. */
static void listen_to(host *h, int said, int progress) {
  struct pollfd from[2] = {{.fd = said, .events = POLLIN}, {.fd = progress, .events = POLLIN}};
  while (from[0].fd >= 0 || from[1].fd >= 0) {
    if (poll(from, 2, -1) < 0) continue;
    if (from[0].revents != 0 && !read_more(&h->said, said)) from[0].fd = -1;
    if (from[1].revents == 0) continue;
    if (read_more(&h->progress, progress)) pass_on(h);
    else from[1].fd = -1;
  }
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

static void close_all(int ends[3]) {
  for (int i = 0; i < 3; i++) {
    if (ends[i] >= 0) close(ends[i]);
    ends[i] = -1;
  }
}

/* Standard input, output and progress: our ends and the program's. Returns 0 or an errno value. */
static int make_pipes(int ours[3], int its[3]) {
  int error = 0;
  for (int i = 0; i < 3; i++) {
    int ends[2] = {-1, -1};
    /* No other program that this process starts may hold them open. */
    if (pipe2(ends, O_CLOEXEC) != 0) error = errno;
    int low[2] = {i == 0 ? ends[1] : ends[0], i == 0 ? ends[0] : ends[1]};
    ours[i] = error == 0 ? fcntl(low[0], F_DUPFD_CLOEXEC, ABOVE) : -1;
    its[i] = error == 0 ? fcntl(low[1], F_DUPFD_CLOEXEC, ABOVE) : -1;
    if (error == 0 && (ours[i] < 0 || its[i] < 0)) error = errno;
    if (low[0] >= 0) close(low[0]);
    if (low[1] >= 0) close(low[1]);
  }
  return error;
}

static int32_t run_program(host *h) {
  int ours[3] = {-1, -1, -1}, its[3] = {-1, -1, -1}, how = 0;
  pid_t child;
  int error = make_pipes(ours, its);
  if (error != 0) {
    close_all(ours);
    close_all(its);
    return failed("no pipe", error);
  }
  error = start_program(h, its, &child);
  close_all(its);
  if (error == 0) {
    tp_build_entered(h->watched, child);
    listen_to(h, ours[1], ours[2]);
    /* It may still be killed before, but not after it was reaped: its number may be another's then. */
    tp_build_left(h->watched);
    pid_t ended;
    do ended = waitpid(child, &how, 0);
    while (ended < 0 && errno == EINTR);
    /* Where somebody else has taken the answer, what it said and the plan tell as much. */
    if (ended < 0 && errno != ECHILD) error = errno;
  }
  close_all(ours);
  int32_t status = tp_build_check(h->watched);
  if (status != TP_OK) return status;
  return error != 0 ? failed(h->arguments[0], error) : judge(h, how);
}

int32_t tp_trt_build_apart(const tp_trt *trt, const tp_options *options, const char *path,
                           const tp_bytes *model, tp_build *watched, tp_bytes *timing, tp_bytes *plan) {
  host *h = tp_alloc(sizeof *h);
  if (h == NULL) return TP_ERR_MEMORY;
  h->watched = watched;
  int32_t status = tp_build_check(watched);
  if (status == TP_OK) status = find_program(options, h);
  if (status == TP_OK) status = add_options(trt, options, h);
  if (status == TP_OK) status = add_argument(h, "progress", PROGRESS_TEXT);
  if (status == TP_OK) status = make_files(h, path, model, timing);
  if (status == TP_OK) status = run_program(h);
  if (status == TP_OK) status = tp_file_read(h->plan, plan);
  if (status == TP_OK && timing != NULL) {
    tp_free(timing->data);
    *timing = (tp_bytes){0};
    status = tp_file_read(h->timing, timing);
  }
  remove_files(h);
  tp_free(h);
  return status;
}
