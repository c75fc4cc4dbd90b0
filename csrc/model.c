#include "model.h"

#include <string.h>

#include "forked.h"
#include "handles.h"
#include "json.h"
#include "memory.h"
#include "model_info.h"
#include "status.h"

static int32_t find_backend(const tp_options *options, const tp_backend **backend) {
  const char *name = tp_options_get(options, "backend");
  if (name == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: option \"backend\" is missing");
  *backend = tp_backend_find(name);
  if (*backend != NULL && (*backend)->keys == NULL) return TP_OK;
  if (*backend != NULL) return tp_options_check(options, (*backend)->name, (*backend)->keys);
  return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: expected a backend of this build, got \"%.80s\"",
                 name);
}

static void free_model(tp_model *model) {
  if (model->state != NULL) model->backend->close(model->state);
  tp_model_info_free(&model->info);
  tp_free(model->json);
  tp_free(model);
}

void tp_model_retain(tp_model *model) {
  atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
}

void tp_model_release(tp_model *model) {
  if (atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1) free_model(model);
}

static void finalize(void *object) { tp_model_release(object); }

static int32_t open_model(const tp_options *options, const void *bytes, uint64_t byte_count,
                          uint32_t *model_out) {
  const tp_backend *backend = NULL;
  int32_t status = find_backend(options, &backend);
  if (status != TP_OK) return status;
  tp_model *model = tp_alloc(sizeof *model);
  if (model == NULL) return TP_ERR_MEMORY;
  atomic_init(&model->references, 1);
  model->backend = backend;
  status = backend->open(options, bytes, byte_count, &model->info, &model->state);
  if (status == TP_OK) {
    model->json = tp_model_info_json(&model->info, backend->name, &model->json_bytes);
    status = model->json == NULL ? TP_ERR_MEMORY : tp_handle_open(TP_KIND_MODEL, model, finalize, model_out);
  }
  if (status != TP_OK) free_model(model);
  return status;
}

int32_t tp_model_open(const char *options, uint32_t options_bytes, const void *model, uint64_t model_bytes,
                      uint32_t *model_out) {
  if (tp_is_forked()) return tp_refuse_forked();
  if (model_out == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: model_out is NULL");
  if (model == NULL && model_bytes > 0)
    return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: its bytes are NULL");
  if (model_bytes > SIZE_MAX / 2) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: model_bytes is out of range");
  }
  tp_options parsed;
  int32_t status = tp_options_parse(options, options_bytes, &parsed);
  if (status != TP_OK) return status;
  status = open_model(&parsed, model, model_bytes, model_out);
  tp_options_free(&parsed);
  return status;
}

int32_t tp_model_describe(uint32_t model, char *text, uint32_t cap) {
  tp_model *m = tp_handle_pin(model, TP_KIND_MODEL);
  if (m == NULL) return tp_handle_refused();
  int32_t length = tp_copy_text(m->json, m->json_bytes, text, cap);
  tp_handle_unpin(model);
  return length;
}

int32_t tp_model_close(uint32_t model) {
  int32_t status = tp_handle_close(model, TP_KIND_MODEL);
  /* A model's end is rare, and much is free then: its weights, what its threads had, the memory of pipes that
     were collected since the last time. */
  if (status == TP_OK) tp_memory_trim();
  return status;
}
