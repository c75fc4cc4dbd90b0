/* OnnxTensor: ONNX Runtime on the CPU. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "onnx_instance.h"
#include "status.h"

typedef struct onnx_model {
  const tp_ort *ort;
  const tp_model_info *info;
  tp_onnx_source source;
  bool own_sessions;
  pthread_mutex_t lock;
  /* Shared by all instances; with own sessions, the one that the model was described from, for the first
   * instance. */
  tp_onnx_session *session;
} onnx_model;

static const tp_option_key keys[] = {{"backend", false}, {"path", false},    {"onnxruntime", true},
                                     {"threads", false}, {"session", false}, {NULL, false}};

static int32_t read_options(const tp_options *options, const void *model, uint64_t model_bytes,
                            onnx_model *m) {
  const char *path = tp_options_get(options, "path");
  const char *session = tp_options_get(options, "session");
  if ((path != NULL) == (model != NULL)) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: expected a path or the model's bytes, got %s",
                   path != NULL ? "both" : "neither");
  }
  if (session != NULL && strcmp(session, "shared") != 0 && strcmp(session, "own") != 0) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"session\": expected shared or own, got \"%.80s\"",
                   session);
  }
  m->own_sessions = session != NULL && strcmp(session, "own") == 0;
  int32_t status = tp_options_number(options, "threads", 1, 1024, 1, &m->source.threads);
  if (status != TP_OK) return status;
  if (path != NULL) {
    m->source.path = tp_copy(path, strlen(path));
  } else {
    m->source.bytes = (void *)(uintptr_t)model;
    m->source.byte_count = (size_t)model_bytes;
  }
  return path != NULL && m->source.path == NULL ? TP_ERR_MEMORY : TP_OK;
}

/* Own sessions are loaded later, when the caller's bytes are gone. */
static int32_t keep_bytes(onnx_model *m) {
  if (m->source.bytes == NULL) return TP_OK;
  m->source.bytes = m->own_sessions ? tp_copy(m->source.bytes, m->source.byte_count) : NULL;
  return m->own_sessions && m->source.bytes == NULL ? TP_ERR_MEMORY : TP_OK;
}

static int32_t describe(const onnx_model *m, tp_model_info *info) {
  char engine[64];
  snprintf(engine, sizeof engine, "ONNX Runtime %s", m->ort->version);
  info->engine = tp_copy(engine, strlen(engine));
  info->library = tp_copy(m->ort->path, strlen(m->ort->path));
  if (info->engine == NULL || info->library == NULL) return TP_ERR_MEMORY;
  return tp_onnx_session_describe(m->session, info);
}

static void close_onnx(void *model) {
  onnx_model *m = model;
  if (m->session != NULL) tp_onnx_session_release(m->session);
  pthread_mutex_destroy(&m->lock);
  tp_free(m->source.path);
  tp_free(m->source.bytes);
  tp_free(m);
}

static int32_t open_onnx(const tp_options *options, const void *model, uint64_t model_bytes,
                         tp_model_info *info, void **state) {
  onnx_model *m = tp_alloc(sizeof *m);
  if (m == NULL) return TP_ERR_MEMORY;
  pthread_mutex_init(&m->lock, NULL);
  m->info = info;
  int32_t status = read_options(options, model, model_bytes, m);
  if (status == TP_OK) status = tp_ort_open(options, &m->ort);
  if (status == TP_OK) status = tp_onnx_session_open(m->ort, &m->source, &m->session);
  if (status == TP_OK) status = describe(m, info);
  if (status == TP_OK) {
    status = keep_bytes(m);
  } else {
    m->source.bytes = NULL; /* still the caller's */
  }
  if (status == TP_OK) *state = m;
  else close_onnx(m);
  return status;
}

static int32_t take_session(onnx_model *m, tp_onnx_session **session) {
  pthread_mutex_lock(&m->lock);
  *session = m->session;
  if (m->own_sessions) m->session = NULL;
  else tp_onnx_session_retain(m->session);
  pthread_mutex_unlock(&m->lock);
  return *session != NULL ? TP_OK : tp_onnx_session_open(m->ort, &m->source, session);
}

static int32_t create(void *model, const tp_model_info *info, uint32_t capacity, void **state) {
  tp_onnx_session *session = NULL;
  int32_t status = take_session(model, &session);
  return status == TP_OK ? tp_onnx_instance_create(session, info, capacity, state) : status;
}

const tp_backend tp_backend_onnx = {
    .name = "OnnxTensor",
    .keys = keys,
    .in_place_bytes = 16384,
    .open = open_onnx,
    .close = close_onnx,
    .instance_create = create,
    .run = tp_onnx_run,
    .destroy = tp_onnx_destroy,
    .release_output = tp_onnx_release_output,
    .interrupt = tp_onnx_interrupt,
    .resume = tp_onnx_resume,
};
