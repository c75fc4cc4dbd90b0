/* Process[X]: another backend of this build, run by child processes. What a child does is host/serve.c. */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host_program.h"
#include "memory.h"
#include "process_instance.h"
#include "status.h"

/* What a day has; longer than any run that somebody waits for. */
#define RUN_TIMEOUT_MS_MAX 86400000u
#define KEYS_MAX 32

static const tp_option_key keys[] = {
    {"backend", false}, {"inner", false}, {"host", false}, {"run_timeout", false}, {NULL, false}};

static bool is_own(const char *key) {
  for (const tp_option_key *own = keys; own->name != NULL; own++) {
    if (strcmp(own->name, key) == 0) return true;
  }
  return false;
}

/* Our own keys, and the inner backend's. */
static int32_t check_keys(const tp_options *options, const tp_backend *inner) {
  tp_option_key known[KEYS_MAX] = {{NULL, false}};
  size_t count = 0;
  for (const tp_option_key *own = keys; own->name != NULL; own++) known[count++] = *own;
  for (const tp_option_key *its = inner->keys; its->name != NULL && count < KEYS_MAX - 1; its++) {
    if (!is_own(its->name)) known[count++] = *its;
  }
  return tp_options_check(options, "Process", known);
}

static int32_t find_inner(const tp_options *options, const tp_backend **inner) {
  const char *name = tp_options_get(options, "inner");
  if (name == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: option \"inner\" is missing");
  *inner = tp_backend_find(name);
  const char *output = tp_options_get(options, "output");
  if (output != NULL && strcmp(output, "device") == 0) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot use option \"output\": expected host, because device memory of a child process is "
                   "not ours, got \"device\"");
  }
  if (*inner != NULL && *inner != &tp_backend_process) return check_keys(options, *inner);
  return tp_fail(TP_ERR_ARGUMENT,
                 "cannot use option \"inner\": expected a backend of this build but Process, got \"%.80s\"",
                 name);
}

/* The host program is also what builds the engines of an inner backend that has some. */
static bool is_passed(const char *key, const tp_backend *inner) {
  if (!is_own(key)) return true;
  if (strcmp(key, "host") != 0) return false;
  for (const tp_option_key *its = inner->keys; its->name != NULL; its++) {
    if (strcmp(its->name, key) == 0) return true;
  }
  return false;
}

/* The inner backend's options, as tp_model_open would be given them. */
static int32_t inner_options(const tp_options *options, const tp_backend *inner, tp_child_plan *plan) {
  size_t bytes = sizeof "backend=" + strlen(inner->name);
  plan->options = tp_alloc(bytes + options->bytes);
  if (plan->options == NULL) return TP_ERR_MEMORY;
  memcpy(plan->options, "backend=", 8);
  memcpy(plan->options + 8, inner->name, strlen(inner->name) + 1);
  const char *end = options->text + options->bytes;
  for (const char *key = options->text; key < end;) {
    const char *value = key + strlen(key) + 1, *next = value + strlen(value) + 1;
    if (is_passed(key, inner)) {
      memcpy(plan->options + bytes, key, (size_t)(next - key));
      plan->options[bytes + strlen(key)] = '=';
      bytes += (size_t)(next - key);
    }
    key = next;
  }
  plan->options_bytes = (uint32_t)bytes;
  return TP_OK;
}

/* The bytes in a file of their own, from which every child reads them: they are not copied for each. */
static int32_t keep_model(const void *model, uint64_t bytes, int *file) {
  if (model == NULL) return TP_OK;
  *file = memfd_create("trtpipe-model", MFD_CLOEXEC);
  int failed = *file < 0 ? errno : 0;
  for (uint64_t at = 0; failed == 0 && at < bytes;) {
    ssize_t written = write(*file, (const char *)model + at, (size_t)(bytes - at));
    if (written > 0) at += (uint64_t)written;
    else if (written == 0 || errno != EINTR) failed = written == 0 ? ENOSPC : errno;
  }
  if (failed == 0) return TP_OK;
  char reason[128];
  return tp_fail(TP_ERR_MEMORY, "cannot keep the model's %llu bytes: %s", (unsigned long long)bytes,
                 tp_errno_text(failed, reason, sizeof reason));
}

static int32_t plan(const tp_options *options, const void *model, uint64_t model_bytes, tp_process_model *m) {
  int32_t status = find_inner(options, &m->inner);
  if (status == TP_OK) {
    status = tp_options_number(options, "run_timeout", 0, RUN_TIMEOUT_MS_MAX, 0, &m->run_timeout_ms);
  }
  if (status == TP_OK) status = inner_options(options, m->inner, &m->plan);
  if (status != TP_OK) return status;
  m->plan.host = tp_host_program(options);
  if (m->plan.host == NULL) return TP_ERR_MEMORY;
  return keep_model(model, model_bytes, &m->plan.model_file);
}

/* Lets a first child open the model, and takes its word for what the model is. */
static int32_t describe(tp_process_model *m, tp_model_info *info) {
  int32_t status = tp_process_sit(m, &m->spare);
  if (status != TP_OK) return status;
  tp_reply reply;
  status = tp_process_await_open(m, &m->spare, &reply);
  if (status != TP_OK) return status;
  m->plan.packed = reply.payload;
  m->plan.packed_bytes = tp_wire_lasting_bytes(reply.payload, reply.bytes);
  return tp_wire_unpack_info(reply.payload, reply.bytes, info);
}

static void close_process(void *model) {
  tp_process_model *m = model;
  tp_process_leave(&m->spare);
  if (m->plan.model_file >= 0) close(m->plan.model_file);
  tp_free(m->plan.host);
  tp_free(m->plan.options);
  tp_free(m->plan.packed);
  pthread_mutex_destroy(&m->lock);
  tp_free(m);
}

static int32_t open_process(const tp_options *options, const void *model, uint64_t model_bytes,
                            tp_model_info *info, void **state) {
  tp_process_model *m = tp_alloc(sizeof *m);
  if (m == NULL) return TP_ERR_MEMORY;
  pthread_mutex_init(&m->lock, NULL);
  m->plan.model_file = m->spare.shared_file = -1;
  int32_t status = plan(options, model, model_bytes, m);
  if (status == TP_OK) status = describe(m, info);
  if (status == TP_OK) *state = m;
  else close_process(m);
  return status;
}

static void release_output(void *owner) { tp_free(owner); }

const tp_backend tp_backend_process = {
    .name = "Process",
    .keys = NULL, /* they depend on the inner backend: `open` checks them */
    /* Never in place: the callers' slots are not in the memory that the child sees. */
    .in_place_bytes = UINT64_MAX,
    .open = open_process,
    .close = close_process,
    .instance_create = tp_process_create,
    .stage = tp_process_stage,
    .run = tp_process_run,
    .destroy = tp_process_destroy,
    .release_output = release_output,
    .interrupt = tp_process_interrupt,
    .resume = tp_process_resume,
};
