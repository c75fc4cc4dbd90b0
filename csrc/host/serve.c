/*
 * The child's side of Process[X]: opens a model, makes its instance, and runs what the parent asks for. The
 * main thread answers questions, one at a time. A second thread listens on the control socket, because the
 * main one may be deep inside an engine: it passes a request to stop on to the engine, and ends the process
 * when its parent is gone.
 */
#define _GNU_SOURCE /* close_range's number, prctl */
#include "serve.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../memory.h"
#include "../model_info.h"
#include "../status.h"
#include "carry_out.h"

/* Exit codes that a parent tells its user of. */
enum { EXIT_LEFT = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Dies with the thread that started it, as a net below the control socket. False: it is dead already. */
static bool tie_to_parent(const char *parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return getppid() == (pid_t)strtol(parent, NULL, 10);
}

/* Signals that a terminal or a service manager sends to all processes of a group are the parent's business:
 * it may want to finish what runs. */
static void ignore_group_signals(void) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigaction(signals[i], &action, NULL);
  }
}

/* Programs that an engine starts get none of our descriptors, and we keep none that the parent's process
 * forgot to close. */
static void close_others(void) {
#ifdef SYS_close_range
  syscall(SYS_close_range, (unsigned)TP_HOST_MODEL + 1, ~0u, 0u);
#endif
  for (int fd = TP_HOST_WORK; fd <= TP_HOST_MODEL; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* What was written while the model was loading goes to where stderr goes from here on. */
static void show_stderr(void) {
  char text[4096];
  ssize_t got;
  for (off_t at = 0; (got = pread(STDERR_FILENO, text, sizeof text, at)) > 0; at += got) {
    if (write(TP_HOST_STDERR, text, (size_t)got) < 0) break;
  }
  dup2(TP_HOST_STDERR, STDERR_FILENO);
  close(TP_HOST_STDERR);
}

static bool answer(const tp_frame *question, int32_t status, const void *payload, uint32_t bytes) {
  char text[4096];
  if (status != TP_OK) {
    int32_t length = tp_last_error(text, sizeof text);
    payload = text;
    bytes = length < (int32_t)sizeof text ? (uint32_t)length : (uint32_t)sizeof text - 1;
  }
  tp_frame frame = {question->kind, question->sequence, status, bytes};
  return tp_wire_send(TP_HOST_WORK, &frame, payload) == 0;
}

/* Maps the model's bytes, if the parent gave any; they are this process's for good. */
static int32_t map_model(bool given, const void **model, uint64_t *bytes) {
  *model = NULL;
  *bytes = 0;
  if (!given) return TP_OK;
  struct stat file;
  if (fstat(TP_HOST_MODEL, &file) != 0) return tp_fail(TP_ERR_INTERNAL, "the model's bytes did not arrive");
  *model = "";
  *bytes = (uint64_t)file.st_size;
  if (*bytes == 0) return TP_OK;
  void *data = mmap(NULL, (size_t)*bytes, PROT_READ, MAP_PRIVATE, TP_HOST_MODEL, 0);
  if (data == MAP_FAILED) return tp_fail(TP_ERR_MEMORY, "cannot map the model's bytes");
  *model = data;
  return TP_OK;
}

static int32_t open_model(const tp_open_message *message, const tp_options *options, tp_host *host) {
  if (strncmp(message->version, TRTPIPE_VERSION, sizeof message->version) != 0 ||
      message->layout != tp_wire_layout()) {
    return tp_fail(TP_ERR_LIBRARY, "the host program is trtpipe %s, the library is trtpipe %.31s",
                   TRTPIPE_VERSION, message->version);
  }
  const char *name = tp_options_get(options, "backend");
  host->backend = name != NULL ? tp_backend_find(name) : NULL;
  if (host->backend == NULL) {
    return tp_fail(TP_ERR_LIBRARY, "the host program has no backend \"%.80s\"", name != NULL ? name : "");
  }
  const void *model;
  uint64_t bytes;
  int32_t status = map_model(message->has_model != 0, &model, &bytes);
  if (status == TP_OK) status = tp_options_check(options, host->backend->name, host->backend->keys);
  if (status == TP_OK) status = host->backend->open(options, model, bytes, &host->info, &host->model);
  if (bytes > 0) munmap((void *)(uintptr_t)model, (size_t)bytes);
  return status;
}

/* Payload of a question, from `tp_alloc`. */
static void *read_payload(const tp_frame *question) {
  void *payload = tp_alloc(question->bytes);
  if (payload == NULL || tp_wire_receive(TP_HOST_WORK, payload, question->bytes, -1) == 0) return payload;
  tp_free(payload);
  return NULL;
}

static bool serve_open(const tp_frame *question, tp_host *host) {
  tp_open_message *message = question->bytes >= sizeof *message ? read_payload(question) : NULL;
  if (message == NULL) return false;
  tp_options options;
  int32_t status =
      tp_options_parse((const char *)(message + 1), question->bytes - (uint32_t)sizeof *message, &options);
  if (status == TP_OK) {
    status = open_model(message, &options, host);
    tp_options_free(&options);
  }
  tp_free(message);
  close(TP_HOST_MODEL);
  uint32_t bytes = 0;
  char *packed = status == TP_OK ? tp_wire_pack_info(&host->info, &bytes) : NULL;
  if (status == TP_OK && packed == NULL) status = TP_ERR_MEMORY;
  if (status == TP_OK) show_stderr();
  host->opened = status == TP_OK;
  bool sent = answer(question, status, packed, bytes);
  tp_free(packed);
  return sent && status == TP_OK;
}

static bool serve_create(const tp_frame *question, tp_host *host) {
  tp_create_message *message = question->bytes == sizeof *message ? read_payload(question) : NULL;
  if (message == NULL || !host->opened) {
    tp_free(message);
    return false;
  }
  int32_t status = tp_region_map(TP_HOST_SHARED, &host->call_region, 0, message->call_bytes);
  if (status == TP_OK) {
    status = host->backend->instance_create(host->model, &host->info, message->capacity, &host->instance);
  }
  host->capacity = message->capacity;
  host->created = status == TP_OK;
  tp_free(message);
  return answer(question, status, NULL, 0) && status == TP_OK;
}

static bool serve_run(const tp_frame *question, tp_host *host) {
  if (!host->created || question->bytes != 0) return false;
  return answer(question, tp_host_carry_out(host, question->sequence), NULL, 0);
}

/* Answers one question; false when there will be no other. */
static bool serve_one(tp_host *host) {
  tp_frame question;
  if (tp_wire_receive(TP_HOST_WORK, &question, sizeof question, -1) != 0) return false;
  switch (question.kind) {
    case TP_WIRE_OPEN: return serve_open(&question, host);
    case TP_WIRE_CREATE: return serve_create(&question, host);
    case TP_WIRE_RUN: return serve_run(&question, host);
    default: return false;
  }
}

/* The listening thread. */
static void *listen_for_parent(void *object) {
  tp_frame frame;
  while (tp_wire_receive(TP_HOST_CONTROL, &frame, sizeof frame, -1) == 0) {
    if (frame.kind == TP_WIRE_INTERRUPT) tp_host_interrupt(object, frame.sequence);
  }
  /* Nobody is left to answer to, and an engine that computes cannot be waited for. */
  _exit(EXIT_LEFT);
}

static void leave(tp_host *host) {
  if (host->created) host->backend->destroy(host->instance);
  if (host->model != NULL) host->backend->close(host->model);
  tp_model_info_free(&host->info);
  tp_host_unmap(host);
}

int tp_host_serve(int count, char **arguments) {
  static tp_host host; /* the listening thread may use it to the very end */
  if (count != 1) {
    fprintf(stderr, "trtpipe-host: expected the parent's process number\n");
    return EXIT_USAGE;
  }
  if (!tie_to_parent(arguments[0])) return EXIT_LEFT;
  ignore_group_signals();
  close_others();
  pthread_mutex_init(&host.lock, NULL);
  pthread_t listener;
  if (pthread_create(&listener, NULL, listen_for_parent, &host) != 0) {
    fprintf(stderr, "trtpipe-host: cannot start a thread\n");
    return EXIT_FAILED;
  }
  pthread_detach(listener);
  while (serve_one(&host)) {}
  leave(&host);
  return EXIT_LEFT;
}
