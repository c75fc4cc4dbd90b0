/* Sessions of ONNX Runtime: what one model is loaded into, once or once for each instance. */
#ifndef TP_ONNX_SESSION_H
#define TP_ONNX_SESSION_H

#include <stdatomic.h>

#include "backend.h"
#include "onnx_library.h"

/* A session that instances and outputs share; the last to let go frees it. */
typedef struct tp_onnx_session {
  _Atomic uint32_t references;
  const tp_ort *ort;
  OrtSession *session;
} tp_onnx_session;

/* What sessions of a model are made from. `path` or `bytes`; both are owned by whoever holds this. */
typedef struct tp_onnx_source {
  char *path;
  void *bytes;
  size_t byte_count;
  uint32_t threads; /* intra-op threads */
} tp_onnx_source;

/* Loads the model. Errors: OPEN, PARSE, MEMORY. Any thread. */
int32_t tp_onnx_session_open(const tp_ort *ort, const tp_onnx_source *source, tp_onnx_session **session);
void tp_onnx_session_retain(tp_onnx_session *session);
void tp_onnx_session_release(tp_onnx_session *session);

/* Fills `info` with the session's inputs and outputs. Errors: UNSUPPORTED, PARSE, MEMORY. */
int32_t tp_onnx_session_describe(const tp_onnx_session *session, tp_model_info *info);

#endif
