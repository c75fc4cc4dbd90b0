#include "builds.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "handles.h"
#include "json.h"
#include "memory.h"
#include "status.h"

struct tp_build {
  pthread_mutex_t lock;
  /* Under `lock`. */
  pid_t child; /* 0: none that may be killed */
  bool cancelled;
  uint32_t permille;
  char stage[160];
};

static void finalize(void *object) {
  tp_build *build = object;
  pthread_mutex_destroy(&build->lock);
  tp_free(build);
}

int32_t tp_build_open(uint32_t *build_out) {
  if (build_out == NULL) return tp_fail(TP_ERR_ARGUMENT, "cannot watch a build: build_out is NULL");
  tp_build *build = tp_alloc(sizeof *build);
  if (build == NULL) return TP_ERR_MEMORY;
  if (pthread_mutex_init(&build->lock, NULL) != 0) {
    tp_free(build);
    return tp_fail(TP_ERR_MEMORY, "cannot watch a build: no memory for its lock");
  }
  int32_t status = tp_handle_open(TP_KIND_BUILD, build, finalize, build_out);
  if (status != TP_OK) finalize(build);
  return status;
}

int32_t tp_build_progress(uint32_t handle, char *text, uint32_t cap) {
  tp_build *build = tp_handle_pin(handle, TP_KIND_BUILD);
  if (build == NULL) return TP_ERR_HANDLE;
  tp_json json = {0};
  pthread_mutex_lock(&build->lock);
  tp_json_open(&json, '{');
  tp_json_key(&json, "permille");
  tp_json_number(&json, build->permille);
  tp_json_key(&json, "stage");
  tp_json_text(&json, build->stage);
  tp_json_close(&json, '}');
  pthread_mutex_unlock(&build->lock);
  tp_handle_unpin(handle);
  int32_t length = json.failed ? TP_ERR_MEMORY : tp_copy_text(json.text, json.length, text, cap);
  tp_free(json.text);
  return length;
}

int32_t tp_build_cancel(uint32_t handle) {
  tp_build *build = tp_handle_pin(handle, TP_KIND_BUILD);
  if (build == NULL) return TP_ERR_HANDLE;
  pthread_mutex_lock(&build->lock);
  build->cancelled = true;
  int32_t running = build->child != 0;
  if (running) kill(build->child, SIGKILL);
  pthread_mutex_unlock(&build->lock);
  tp_handle_unpin(handle);
  return running;
}

int32_t tp_build_close(uint32_t handle) { return tp_handle_close(handle, TP_KIND_BUILD); }

static int32_t handle_of(const tp_options *options, uint32_t *handle) {
  return tp_options_number(options, "build", 0, UINT32_MAX, 0, handle);
}

int32_t tp_build_pin(const tp_options *options, tp_build **build) {
  uint32_t handle;
  *build = NULL;
  if (tp_options_get(options, "build") == NULL) return TP_OK;
  int32_t status = handle_of(options, &handle);
  if (status != TP_OK) return status;
  *build = tp_handle_pin(handle, TP_KIND_BUILD);
  return *build != NULL ? TP_OK : TP_ERR_HANDLE;
}

void tp_build_unpin(const tp_options *options, tp_build *build) {
  uint32_t handle;
  if (build != NULL && handle_of(options, &handle) == TP_OK) tp_handle_unpin(handle);
}

int32_t tp_build_check(tp_build *build) {
  if (build == NULL) return TP_OK;
  pthread_mutex_lock(&build->lock);
  bool cancelled = build->cancelled;
  pthread_mutex_unlock(&build->lock);
  return cancelled ? tp_fail(TP_ERR_INTERRUPTED, "the build of the engine was cancelled") : TP_OK;
}

void tp_build_entered(tp_build *build, pid_t child) {
  if (build == NULL) return;
  pthread_mutex_lock(&build->lock);
  build->child = child;
  if (build->cancelled) kill(child, SIGKILL);
  pthread_mutex_unlock(&build->lock);
}

void tp_build_left(tp_build *build) {
  if (build == NULL) return;
  pthread_mutex_lock(&build->lock);
  build->child = 0;
  pthread_mutex_unlock(&build->lock);
}

void tp_build_tell(tp_build *build, uint32_t permille, const char *stage) {
  if (build == NULL) return;
  pthread_mutex_lock(&build->lock);
  if (permille > build->permille) build->permille = permille < 1000 ? permille : 1000;
  snprintf(build->stage, sizeof build->stage, "%s", stage);
  pthread_mutex_unlock(&build->lock);
}
