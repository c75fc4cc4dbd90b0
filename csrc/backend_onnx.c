/* OnnxTensor: ONNX Runtime on the CPU. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "onnx_session.h"
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

/* An OrtValue over memory of ours, kept from run to run: making one costs as much as running a tiny model. */
typedef struct kept_value {
  OrtValue *value;
  const void *data;
} kept_value;

typedef struct onnx_instance {
  const onnx_model *model;
  tp_onnx_session *session;
  OrtRunOptions *options;
  uint32_t capacity;
  const char *names[TP_MAX_TENSORS];
  kept_value *kept; /* [tensor][rows], rows 0..capacity */
} onnx_instance;

/* An output that ONNX Runtime allocated. */
typedef struct onnx_output {
  tp_onnx_session *session; /* whose allocator the value's memory came from */
  OrtValue *value;
} onnx_output;

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

static void destroy(void *instance) {
  onnx_instance *x = instance;
  const tp_ort *ort = x->model->ort;
  uint32_t tensors = x->model->info->inputs + x->model->info->outputs;
  for (size_t i = 0; x->kept != NULL && i < (size_t)tensors * (x->capacity + 1); i++) {
    if (x->kept[i].value != NULL) ort->ReleaseValue(x->kept[i].value);
  }
  tp_free(x->kept);
  if (x->options != NULL) ort->ReleaseRunOptions(x->options);
  if (x->session != NULL) tp_onnx_session_release(x->session);
  tp_free(x);
}

static int32_t create(void *model, const tp_model_info *info, uint32_t capacity, void **state) {
  onnx_model *m = model;
  onnx_instance *x = tp_alloc(sizeof *x);
  if (x == NULL) return TP_ERR_MEMORY;
  x->model = m;
  x->capacity = capacity;
  uint32_t tensors = info->inputs + info->outputs;
  for (uint32_t k = 0; k < tensors; k++) x->names[k] = info->tensors[k].name;
  x->kept = tp_alloc((size_t)tensors * (capacity + 1) * sizeof *x->kept);
  int32_t status = x->kept != NULL ? TP_OK : TP_ERR_MEMORY;
  if (status == TP_OK) status = take_session(m, &x->session);
  if (status == TP_OK) {
    status = tp_ort_check(m->ort, m->ort->CreateRunOptions(&x->options), TP_ERR_MEMORY,
                          "cannot create an instance");
  }
  if (status == TP_OK) *state = x;
  else destroy(x);
  return status;
}

/* The OrtValue of tensor k over run->data[k]: kept from an earlier run, or made now. */
static int32_t value_of(onnx_instance *x, const tp_run *run, uint32_t k, OrtValue **value) {
  const tp_tensor_spec *spec = &x->model->info->tensors[k];
  const tp_ort *ort = x->model->ort;
  kept_value *kept = &x->kept[(size_t)k * (x->capacity + 1) + run->run_rows];
  if (kept->value != NULL && kept->data == run->data[k] && spec->fixed) {
    *value = kept->value;
    return TP_OK;
  }
  if (kept->value != NULL) ort->ReleaseValue(kept->value);
  *kept = (kept_value){NULL, NULL};
  int64_t shape[TP_MAX_RANK];
  size_t before = x->model->info->batching == TP_BATCHING_NONE ? 0 : 1;
  shape[0] = run->run_rows;
  memcpy(shape + before, run->dims[k], (size_t)run->rank[k] * sizeof shape[0]);
  OrtStatus *failed =
      ort->CreateTensorWithDataAsOrtValue(ort->cpu, run->data[k], run->item_bytes[k] * run->run_rows, shape,
                                          before + (size_t)run->rank[k], spec->dtype, value);
  if (failed != NULL)
    return tp_ort_check(ort, failed, TP_ERR_EXECUTION, "cannot give the batch to ONNX Runtime");
  *kept = (kept_value){*value, run->data[k]};
  return TP_OK;
}

static int32_t read_output_shape(const tp_ort *ort, const OrtShapeInfo *shape, const tp_tensor_spec *spec,
                                 tp_native_output *output) {
  static const char doing[] = "cannot read an output's shape";
  int dtype = 0;
  size_t rank = 0;
  int32_t status = tp_ort_check(ort, ort->GetTensorElementType(shape, &dtype), TP_ERR_EXECUTION, doing);
  if (status == TP_OK)
    status = tp_ort_check(ort, ort->GetDimensionsCount(shape, &rank), TP_ERR_EXECUTION, doing);
  if (status != TP_OK) return status;
  if (dtype != spec->dtype) {
    return tp_fail(TP_ERR_EXECUTION, "output \"%.200s\" has element type %d, where the model says %d",
                   spec->name, dtype, spec->dtype);
  }
  if (rank > TP_MAX_RANK) {
    return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": it has %zu dimensions, more than %d",
                   spec->name, rank, TP_MAX_RANK);
  }
  output->rank = (int32_t)rank;
  return tp_ort_check(ort, ort->GetDimensions(shape, output->dims, rank), TP_ERR_EXECUTION, doing);
}

static void release_output(void *owner) {
  onnx_output *output = owner;
  output->session->ort->ReleaseValue(output->value);
  tp_onnx_session_release(output->session);
  tp_free(output);
}

/* Fills run->native[k] from a value that ONNX Runtime made. The value belongs to the output then. */
static int32_t read_output(onnx_instance *x, OrtValue *value, uint32_t k, tp_native_output *output) {
  const tp_ort *ort = x->model->ort;
  const tp_tensor_spec *spec = &x->model->info->tensors[k];
  OrtShapeInfo *shape = NULL;
  void *data = NULL;
  int32_t status =
      tp_ort_check(ort, ort->GetTensorTypeAndShape(value, &shape), TP_ERR_EXECUTION, "cannot read an output");
  if (status == TP_OK) {
    status = read_output_shape(ort, shape, spec, output);
    ort->ReleaseTensorTypeAndShapeInfo(shape);
  }
  if (status == TP_OK) {
    status =
        tp_ort_check(ort, ort->GetTensorMutableData(value, &data), TP_ERR_EXECUTION, "cannot read an output");
  }
  if (status != TP_OK) return status;
  onnx_output *owner = tp_alloc(sizeof *owner);
  if (owner == NULL) return TP_ERR_MEMORY;
  tp_onnx_session_retain(x->session);
  *owner = (onnx_output){x->session, value};
  output->data = data;
  output->owner = owner;
  return TP_OK;
}

/* Takes over the values that ONNX Runtime made, all or none. */
static int32_t read_outputs(onnx_instance *x, tp_run *run, OrtValue **values) {
  const tp_model_info *info = x->model->info;
  uint32_t end = info->inputs + info->outputs;
  int32_t status = TP_OK;
  uint32_t k = info->inputs;
  for (; status == TP_OK && k < end; k++) {
    if (run->data[k] == NULL) status = read_output(x, values[k], k, &run->native[k]);
  }
  if (status == TP_OK) return TP_OK;
  /* The output that failed is still only a value, as are those after it. */
  uint32_t bad = k - 1;
  for (k = info->inputs; k < end; k++) {
    if (run->data[k] != NULL) continue;
    if (k < bad) release_output(run->native[k].owner);
    else if (values[k] != NULL) x->model->ort->ReleaseValue(values[k]);
  }
  return status;
}

static int32_t run_session(onnx_instance *x, tp_run *run, OrtValue **values) {
  const tp_model_info *info = x->model->info;
  const tp_ort *ort = x->model->ort;
  OrtStatus *failed = ort->Run(x->session->session, x->options, x->names, (const OrtValue *const *)values,
                               info->inputs, x->names + info->inputs, info->outputs, values + info->inputs);
  if (failed == NULL) return read_outputs(x, run, values);
  return tp_ort_check(ort, failed, TP_ERR_EXECUTION, "ONNX Runtime failed the batch");
}

static int32_t run_onnx(void *instance, tp_run *run) {
  onnx_instance *x = instance;
  const tp_model_info *info = x->model->info;
  OrtValue *values[TP_MAX_TENSORS];
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    values[k] = NULL;
    if (run->data[k] == NULL) continue;
    int32_t status = value_of(x, run, k, &values[k]);
    if (status != TP_OK) return status;
  }
  return run_session(x, run, values);
}

/* Setting a flag cannot fail; a status would still have to be freed. */
static void drop(const tp_ort *ort, OrtStatus *failed) {
  if (failed != NULL) ort->ReleaseStatus(failed);
}

static void interrupt(void *instance) {
  onnx_instance *x = instance;
  drop(x->model->ort, x->model->ort->RunOptionsSetTerminate(x->options));
}

static void resume(void *instance) {
  onnx_instance *x = instance;
  drop(x->model->ort, x->model->ort->RunOptionsUnsetTerminate(x->options));
}

const tp_backend tp_backend_onnx = {
    .name = "OnnxTensor",
    .keys = keys,
    .in_place_bytes = 16384,
    .open = open_onnx,
    .close = close_onnx,
    .instance_create = create,
    .run = run_onnx,
    .destroy = destroy,
    .release_output = release_output,
    .interrupt = interrupt,
    .resume = resume,
};
