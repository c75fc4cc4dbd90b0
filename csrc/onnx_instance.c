#include "onnx_instance.h"

#include <string.h>

#include "memory.h"
#include "status.h"

static void find_unplaced(tp_onnx_instance *x) {
  const tp_model_info *info = x->info;
  uint32_t end = info->inputs + info->outputs;
  for (uint32_t k = info->inputs; k < end; k++) {
    for (uint32_t other = 0; other < end; other++) {
      if (other == k || strcmp(x->names[other], x->names[k]) != 0) continue;
      x->unplaced[k] = true;
      if (other < info->inputs) x->alias[k] = true;
    }
  }
}

int32_t tp_onnx_instance_create(tp_onnx_session *session, const tp_model_info *info, uint32_t capacity,
                                void **instance) {
  tp_onnx_instance *x = tp_alloc(sizeof *x);
  if (x == NULL) {
    tp_onnx_session_release(session);
    return TP_ERR_MEMORY;
  }
  x->ort = session->ort;
  x->info = info;
  x->session = session;
  x->capacity = capacity;
  uint32_t tensors = info->inputs + info->outputs;
  for (uint32_t k = 0; k < tensors; k++) x->names[k] = info->tensors[k].name;
  find_unplaced(x);
  x->kept = tp_alloc((size_t)tensors * (capacity + 1) * sizeof *x->kept);
  int32_t status = TP_ERR_MEMORY;
  if (x->kept != NULL) {
    status = tp_ort_check(x->ort, x->ort->CreateRunOptions(&x->options), TP_ERR_MEMORY,
                          "cannot create an instance");
  }
  if (status == TP_OK) *instance = x;
  else tp_onnx_destroy(x);
  return status;
}

void tp_onnx_destroy(void *instance) {
  tp_onnx_instance *x = instance;
  size_t values = (size_t)(x->info->inputs + x->info->outputs) * (x->capacity + 1);
  for (size_t i = 0; x->kept != NULL && i < values; i++) {
    if (x->kept[i].value != NULL) x->ort->ReleaseValue(x->kept[i].value);
  }
  tp_free(x->kept);
  if (x->options != NULL) x->ort->ReleaseRunOptions(x->options);
  tp_onnx_session_release(x->session);
  tp_free(x);
}

/* Setting a flag cannot fail; a status would still have to be freed. */
static void drop(const tp_ort *ort, OrtStatus *failed) {
  if (failed != NULL) ort->ReleaseStatus(failed);
}

void tp_onnx_interrupt(void *instance) {
  const tp_onnx_instance *x = instance;
  drop(x->ort, x->ort->RunOptionsSetTerminate(x->options));
}

void tp_onnx_resume(void *instance) {
  const tp_onnx_instance *x = instance;
  drop(x->ort, x->ort->RunOptionsUnsetTerminate(x->options));
}
