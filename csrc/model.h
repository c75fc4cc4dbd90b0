/* A loaded model: what a model handle, its instances and its results share. */
#ifndef TP_MODEL_H
#define TP_MODEL_H

#include <stdatomic.h>

#include "backend.h"

typedef struct tp_model {
  /* One for the handle, one for each instance, one for each result; the last to go frees the model. */
  _Atomic uint32_t references;
  const tp_backend *backend;
  void *state; /* the backend's */
  tp_model_info info;
  char *json; /* of tp_model_describe */
  size_t json_bytes;
} tp_model;

void tp_model_retain(tp_model *model);
void tp_model_release(tp_model *model);

#endif
