/* One instance of an ONNX model: a session, and what its runs need. */
#ifndef TP_ONNX_INSTANCE_H
#define TP_ONNX_INSTANCE_H

#include "onnx_session.h"

/* An OrtValue over memory of ours, kept from run to run: making one costs as much as running a tiny model. */
typedef struct tp_kept_value {
  OrtValue *value;
  const void *data;
} tp_kept_value;

typedef struct tp_onnx_instance {
  const tp_ort *ort;
  const tp_model_info *info;
  tp_onnx_session *session; /* one reference */
  OrtRunOptions *options;   /* carries the flag that ends a run */
  uint32_t capacity;
  const char *names[TP_MAX_TENSORS];
  /* Outputs that cannot be given memory beforehand: ONNX Runtime leaves it as it is when the output is an
     input itself (`alias`), or has the name of another output. */
  bool unplaced[TP_MAX_TENSORS];
  bool alias[TP_MAX_TENSORS];
  tp_kept_value *kept; /* [tensor][rows], rows 0..capacity */
} tp_onnx_instance;

/* Takes over the caller's reference to `session`, whatever comes of it. Errors: MEMORY. */
int32_t tp_onnx_instance_create(tp_onnx_session *session, const tp_model_info *info, uint32_t capacity,
                                void **instance);

/* The functions of tp_backend. */
int32_t tp_onnx_run(void *instance, tp_run *run);
void tp_onnx_destroy(void *instance);
void tp_onnx_release_output(void *owner);
void tp_onnx_interrupt(void *instance);
void tp_onnx_resume(void *instance);

#endif
