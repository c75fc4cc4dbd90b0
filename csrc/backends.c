/* The backends that this build has, and tp_describe. */
#include <string.h>

#include "backend.h"
#include "json.h"
#include "memory.h"
#include "status.h"

static const tp_backend *const backends[] = {
    &tp_backend_identity,
#ifdef TRTPIPE_FAULT
    &tp_backend_fault,
#endif
    &tp_backend_onnx,
    &tp_backend_tensorrt,
    &tp_backend_process,
};

const tp_backend *tp_backend_at(size_t index) {
  return index < sizeof backends / sizeof backends[0] ? backends[index] : NULL;
}

const tp_backend *tp_backend_find(const char *name) {
  for (size_t i = 0; tp_backend_at(i) != NULL; i++) {
    if (strcmp(backends[i]->name, name) == 0) return backends[i];
  }
  return NULL;
}

int32_t tp_describe(char *text, uint32_t cap) {
  tp_json json = {0};
  tp_json_open(&json, '{');
  tp_json_key(&json, "backends");
  tp_json_open(&json, '[');
  for (size_t i = 0; tp_backend_at(i) != NULL; i++) tp_json_text(&json, backends[i]->name);
  tp_json_close(&json, ']');
  tp_json_key(&json, "version");
  tp_json_text(&json, TRTPIPE_VERSION);
  tp_json_close(&json, '}');
  int32_t length = json.failed ? TP_ERR_MEMORY : tp_copy_text(json.text, json.length, text, cap);
  tp_free(json.text);
  return length;
}
