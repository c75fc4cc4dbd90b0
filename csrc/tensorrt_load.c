#include "tensorrt_load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builds.h"
#include "memory.h"
#include "status.h"
#include "tensorrt_build.h"
#include "tensorrt_cache.h"
#include "tensorrt_host.h"

/* How long one look for the lock takes when somebody watches. */
#define LOCK_LOOK_MS 50

/* What one load holds. */
typedef struct load {
  const tp_options *options;
  const tp_trt_settings *settings;
  const char *path;
  const tp_bytes *bytes;
  tp_trt_engine *engine;
  tp_text *note;
  tp_build *watched; /* NULL: by nobody */
} load;

static int32_t open_plan(const load *l, const void *plan, size_t bytes) {
  const tp_trt *trt = l->engine->trt;
  return tp_trt_engine_open(trt, l->engine->device, plan, bytes, l->engine);
}

static int32_t load_engine(const load *l) {
  tp_trt_entry entry = {0};
  int32_t status = tp_trt_engine_read(l->path, l->engine->trt, l->engine->device, &entry);
  if (status == TP_OK) status = open_plan(l, entry.plan, entry.plan_bytes);
  tp_trt_entry_free(&entry);
  return status;
}

/* Says in the note what became of the file of measured times where that was not to be expected. */
static void note_timing(const load *l, const char *path, const char *what, const char *reason) {
  tp_text_add(l->note, "%s%s \"%s\": %s", l->note->length > 0 ? "; " : "", what, path, reason);
}

/* What TensorRT measured in earlier builds; nothing if it was on another device or with another TensorRT. */
static int32_t read_timing(const load *l, const char *path, const tp_text *place, tp_bytes *timing) {
  tp_trt_entry entry = {0};
  tp_text reason = {0};
  if (tp_trt_cache_read(path, place, &entry, &reason)) {
    timing->data = tp_alloc(entry.plan_bytes + 1);
    timing->count = timing->data != NULL ? entry.plan_bytes : 0;
    if (timing->data != NULL) memcpy(timing->data, entry.plan, entry.plan_bytes);
    tp_trt_entry_free(&entry);
    return timing->data != NULL ? TP_OK : TP_ERR_MEMORY;
  }
  if (reason.length > 0) note_timing(l, path, "Measured anew, in place of", reason.text);
  return TP_OK;
}

/* A build that keeps its engine keeps beside it what TensorRT measured, for the next build. */
static int32_t build_timed(const load *l, const char *path, const tp_bytes *bytes, const char *cache,
                           tp_bytes *plan) {
  char at[4200];
  tp_text place = {0};
  tp_bytes timing = {0};
  if (snprintf(at, sizeof at, "%s.timing", cache) >= (int)sizeof at)
    return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"model::cache\": the path is too long");
  tp_trt_device_key(l->engine->trt, l->engine->device, &place);
  int32_t status = read_timing(l, at, &place, &timing);
  if (status == TP_OK)
    status = tp_trt_build_apart(l->engine->trt, l->options, path, bytes, l->watched, &timing, plan);
  if (status == TP_OK && tp_trt_cache_write(at, &place, &timing) != TP_OK) {
    char text[512];
    tp_last_error(text, sizeof text);
    note_timing(l, at, "Nothing is kept in", text);
  }
  tp_free(timing.data);
  return status;
}

/* Builds, keeps the plan in the file `cache` if there is one to be, and opens it. */
static int32_t build(const load *l, const char *path, const tp_bytes *bytes, const char *cache,
                     const tp_text *key) {
  tp_bytes plan = {0};
  int32_t status = cache != NULL
                       ? build_timed(l, path, bytes, cache, &plan)
                       : tp_trt_build_apart(l->engine->trt, l->options, path, bytes, l->watched, NULL, &plan);
  if (status == TP_OK && cache != NULL) status = tp_trt_cache_write(cache, key, &plan);
  if (status == TP_OK) status = open_plan(l, plan.data, plan.count);
  tp_free(plan.data);
  return status;
}

/* The entry if it fits, else a new one in its place. The lock is held, so others wait for one build. */
static int32_t load_cached(const load *l, const tp_bytes *bytes, const char *cache, const tp_text *key) {
  tp_trt_entry entry = {0};
  tp_text reason = {0};
  bool found = tp_trt_cache_read(cache, key, &entry, &reason);
  if (found) {
    int32_t status = open_plan(l, entry.plan, entry.plan_bytes);
    tp_trt_entry_free(&entry);
    if (status == TP_OK || status == TP_ERR_DEVICE) return status;
    char text[1024];
    tp_last_error(text, sizeof text);
    tp_text_add(&reason, "%s", text);
  }
  if (reason.length > 0) tp_text_add(l->note, "The engine in \"%s\" was built anew: %s", cache, reason.text);
  return build(l, NULL, bytes, cache, key);
}

/* Somebody else may be building the same: who watches sees that, and may give up. */
static int32_t lock_watched(const load *l, const char *path, int *lock) {
  for (;;) {
    int32_t status = tp_file_lock(path, l->watched == NULL ? -1 : LOCK_LOOK_MS, lock);
    if (status != TP_ERR_BUSY) return status;
    tp_build_tell(l->watched, 0, "waiting for another build of the same engine");
    status = tp_build_check(l->watched);
    if (status != TP_OK) return status;
  }
}

static int32_t load_through_cache(const load *l, const char *cache) {
  tp_bytes file = {0};
  tp_text key = {0};
  char lock_path[4200];
  int lock;
  if (snprintf(lock_path, sizeof lock_path, "%s.lock", cache) >= (int)sizeof lock_path)
    return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"model::cache\": the path is too long");
  int32_t status = tp_trt_cache_check(cache, (uint32_t)geteuid());
  /* The bytes that are hashed are the bytes that are built from, whatever becomes of the file. */
  if (status == TP_OK && l->path != NULL) status = tp_file_read(l->path, &file);
  const tp_bytes *bytes = l->path != NULL ? &file : l->bytes;
  if (status == TP_OK)
    status = tp_trt_key(l->engine->trt, l->engine->device, l->options, l->settings, bytes->data, bytes->count,
                        &key);
  if (status == TP_OK) status = lock_watched(l, lock_path, &lock);
  if (status == TP_OK) {
    status = load_cached(l, bytes, cache, &key);
    tp_file_unlock(lock);
  }
  tp_free(file.data);
  return status;
}

int32_t tp_trt_load(const tp_options *options, const tp_trt_settings *settings, const char *path,
                    const tp_bytes *bytes, tp_trt_engine *engine, tp_text *note) {
  load l = {options, settings, path, bytes, engine, note, NULL};
  const char *cache = tp_options_get(options, "model::cache");
  if (path != NULL && tp_trt_is_engine(path)) return load_engine(&l);
  /* Before anything is read or started: the answer is to come back with another model. */
  int32_t status = tp_trt_check_precision(engine->trt, settings->precision);
  if (status == TP_OK) status = tp_build_pin(options, &l.watched);
  if (status != TP_OK) return status;
  if (cache != NULL && *cache != '\0') status = load_through_cache(&l, cache);
  else status = build(&l, path, bytes, NULL, NULL);
  tp_build_unpin(options, l.watched);
  return status;
}
