#include "tensorrt_cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "sha256.h"
#include "status.h"

#define MAGIC "TRTPIPE"
#define FORMAT 1u
#define LIMIT_BYTES 1000u

/* The file: this head, the key's text, the plan. Numbers are the machine's own: an engine never leaves its
 * kind of machine. */
typedef struct head {
  char magic[8];
  uint32_t format, key_bytes;
  uint64_t plan_bytes;
  uint8_t sha[TP_SHA256_BYTES]; /* over key and plan */
} head;

/* An engine that is compatible with more devices than its own says so instead of naming its own. */
static void add_place(const tp_trt *trt, const tp_cuda_device *device, int32_t compatible, tp_text *key) {
  tp_text_add(key, "tensorrt=%s\n", trt->name);
  if (compatible == 0)
    tp_text_add(key, "gpu=%s\ncompute=%d.%d\n", device->name, device->major, device->minor);
  else if (compatible == TRT_COMPATIBLE_SAME_CAPABILITY)
    tp_text_add(key, "gpu=any\ncompute=%d.%d\n", device->major, device->minor);
  else tp_text_add(key, "gpu=any\ncompute=8.0 or later\n");
  tp_text_add(key, "driver=%d\n", device->cuda->version);
}

void tp_trt_device_key(const tp_trt *trt, const tp_cuda_device *device, tp_text *key) {
  add_place(trt, device, 0, key);
}

int32_t tp_trt_key(const tp_trt *trt, const tp_cuda_device *device, const tp_options *options,
                   const tp_trt_settings *settings, const void *model, size_t bytes, tp_text *key) {
  tp_sha256 sha;
  uint8_t digest[TP_SHA256_BYTES];
  char text[2 * TP_SHA256_BYTES + 1];
  const char *min = tp_options_get(options, "min"), *max = tp_options_get(options, "max");
  if ((min != NULL && strlen(min) > LIMIT_BYTES) || (max != NULL && strlen(max) > LIMIT_BYTES))
    return tp_fail(TP_ERR_ARGUMENT, "cannot keep an engine whose min or max is longer than %u bytes",
                   LIMIT_BYTES);
  tp_sha256_begin(&sha);
  tp_sha256_add(&sha, model, bytes);
  tp_sha256_end(&sha, digest);
  tp_sha256_text(digest, text);
  if (settings->compatible == TRT_COMPATIBLE_AMPERE_PLUS && device->major < 8) {
    return tp_fail(
        TP_ERR_UNSUPPORTED,
        "cannot use option \"hardware_compatibility\": ampere_plus needs a device of compute capability "
        "8.0 or later, and %.200s has %d.%d",
        device->name, device->major, device->minor);
  }
  add_place(trt, device, settings->compatible, key);
  tp_text_add(key, "model=%s\nprecision=%s\nmax_workspace_size=%u\noptimization_level=%u\n", text,
              tp_trt_precision_name(settings->precision), settings->workspace_mb, settings->level);
  tp_text_add(key, "compute_capability=%s\nhardware_compatibility=%s\ncuda_graph=%d\nmin=%s\nmax=%s\n",
              settings->this_device ? "current" : "any", tp_trt_compatible_name(settings->compatible),
              settings->graphs, min != NULL ? min : "1", max != NULL ? max : "1");
  return TP_OK;
}

static void hash(const void *key, size_t key_bytes, const void *plan, size_t plan_bytes,
                 uint8_t digest[TP_SHA256_BYTES]) {
  tp_sha256 sha;
  tp_sha256_begin(&sha);
  tp_sha256_add(&sha, key, key_bytes);
  tp_sha256_add(&sha, plan, plan_bytes);
  tp_sha256_end(&sha, digest);
}

/* Reads a container's parts; false if it is none, or damaged. */
static bool unpack(tp_trt_entry *entry, const char **key, size_t *key_bytes) {
  head h;
  uint8_t digest[TP_SHA256_BYTES];
  const tp_bytes *file = &entry->file;
  if (file->count < sizeof h) return false;
  memcpy(&h, file->data, sizeof h);
  size_t rest = file->count - sizeof h;
  if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.format != FORMAT || h.key_bytes > rest ||
      h.plan_bytes != rest - h.key_bytes)
    return false;
  *key = (const char *)file->data + sizeof h;
  *key_bytes = h.key_bytes;
  entry->plan = file->data + sizeof h + h.key_bytes;
  entry->plan_bytes = (size_t)h.plan_bytes;
  hash(*key, *key_bytes, entry->plan, entry->plan_bytes, digest);
  return memcmp(digest, h.sha, sizeof digest) == 0;
}

/* Says in which line a key differs from the one that is wanted: "gpu is A, expected B"; false if in none. */
static bool tell_difference(const char *key, size_t bytes, const char *wanted, tp_text *reason) {
  const char *end = key + bytes;
  while (*wanted != '\0') {
    size_t length = strcspn(wanted, "\n"), name = strcspn(wanted, "=");
    const char *line_end = key < end ? memchr(key, '\n', (size_t)(end - key)) : NULL;
    size_t have = line_end != NULL ? (size_t)(line_end - key) : 0;
    if (have != length || memcmp(key, wanted, length) != 0) {
      size_t skip = have > name && memcmp(key, wanted, name + 1) == 0 ? name + 1 : 0;
      tp_text_add(reason, "its %.*s is \"%.*s\", and \"%.*s\" is needed", (int)name, wanted,
                  (int)(have - skip), key + skip, (int)(length - name - 1), wanted + name + 1);
      return true;
    }
    wanted += length + 1;
    key += have + 1;
  }
  return false;
}

bool tp_trt_cache_read(const char *path, const tp_text *key, tp_trt_entry *entry, tp_text *reason) {
  if (access(path, F_OK) != 0) return false;
  const char *have = NULL;
  size_t bytes = 0;
  if (tp_file_read(path, &entry->file) != TP_OK) {
    char text[512];
    tp_last_error(text, sizeof text);
    tp_text_add(reason, "%s", text);
  } else if (!unpack(entry, &have, &bytes)) {
    tp_text_add(reason, "it is damaged, or not one of trtpipe's");
  } else if (!tell_difference(have, bytes, key->text, reason)) {
    return true;
  }
  tp_trt_entry_free(entry);
  return false;
}

int32_t tp_trt_cache_write(const char *path, const tp_text *key, const tp_bytes *plan) {
  head h = {.magic = MAGIC, .format = FORMAT, .key_bytes = (uint32_t)key->length, .plan_bytes = plan->count};
  hash(key->text, key->length, plan->data, plan->count, h.sha);
  tp_bytes parts[3] = {{(uint8_t *)&h, sizeof h}, {(uint8_t *)(uintptr_t)key->text, key->length}, *plan};
  return tp_file_write(path, parts, 3);
}

/* Whether nobody but `user` and root may change what was found at `path`. */
static int32_t check_owner(const char *what, const char *path, const struct stat *found, uid_t user) {
  static const char refused[] = "cannot use option \"model::cache\": an engine is code that runs here, and";
  if (found->st_uid != user && found->st_uid != 0) {
    return tp_fail(TP_ERR_OPEN,
                   "%s the %s \"%s\" belongs to user %u; expected user %u, who runs this, or root",
                   refused, what, path, (unsigned)found->st_uid, (unsigned)user);
  }
  if ((found->st_mode & (S_IWGRP | S_IWOTH)) == 0) return TP_OK;
  return tp_fail(TP_ERR_OPEN,
                 "%s the %s \"%s\" may be written by others than its owner; expected mode %03o, got %03o",
                 refused, what, path, (unsigned)(found->st_mode & 0755), (unsigned)(found->st_mode & 07777));
}

/* A file of the cache, if it is there. The folder was checked: nobody else puts another in its place. */
static int32_t check_file(const char *cache, const char *end, uid_t user) {
  char path[4200];
  struct stat found;
  if (snprintf(path, sizeof path, "%s%s", cache, end) >= (int)sizeof path)
    return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"model::cache\": the path is too long");
  /* What keeps us from looking keeps us from reading, too, and is told there. */
  if (lstat(path, &found) != 0) return TP_OK;
  if (!S_ISLNK(found.st_mode)) return check_owner("file", path, &found, user);
  return tp_fail(TP_ERR_OPEN, "cannot use option \"model::cache\": expected a file, got the link \"%s\"",
                 path);
}

int32_t tp_trt_cache_check(const char *path, uint32_t user) {
  static const char *const ends[] = {"", ".lock", ".timing"};
  char folder[4200], reason[128];
  struct stat found;
  const char *slash = strrchr(path, '/');
  int length = slash == NULL || slash == path ? 1 : (int)(slash - path);
  if (snprintf(folder, sizeof folder, "%.*s", length, slash != NULL ? path : ".") >= (int)sizeof folder)
    return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"model::cache\": the path is too long");
  if (stat(folder, &found) != 0) {
    return tp_fail(TP_ERR_OPEN, "cannot use option \"model::cache\": the folder \"%s\": %s", folder,
                   tp_errno_text(errno, reason, sizeof reason));
  }
  int32_t status = check_owner("folder", folder, &found, user);
  for (size_t i = 0; status == TP_OK && i < sizeof ends / sizeof ends[0]; i++) {
    status = check_file(path, ends[i], user);
  }
  return status;
}

bool tp_trt_is_engine(const char *path) {
  static const char *const ends[] = {".trt", ".engine", ".plan"};
  size_t length = strlen(path);
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    size_t end = strlen(ends[i]);
    if (length > end && strcmp(path + length - end, ends[i]) == 0) return true;
  }
  return false;
}

/* Whether an engine of that key runs on the device; `reason` says why one for its own device does not. */
static bool fits(const tp_trt *trt, const tp_cuda_device *device, const char *key, size_t bytes,
                 tp_text *reason) {
  static const int32_t kinds[] = {TRT_COMPATIBLE_SAME_CAPABILITY, TRT_COMPATIBLE_AMPERE_PLUS};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    tp_text place = {0}, ignored = {0};
    if (kinds[i] == TRT_COMPATIBLE_AMPERE_PLUS && device->major < 8) continue;
    add_place(trt, device, kinds[i], &place);
    if (!tell_difference(key, bytes, place.text, &ignored)) return true;
  }
  tp_text place = {0};
  add_place(trt, device, 0, &place);
  return !tell_difference(key, bytes, place.text, reason);
}

int32_t tp_trt_engine_read(const char *path, const tp_trt *trt, const tp_cuda_device *device,
                           tp_trt_entry *entry) {
  int32_t status = tp_file_read(path, &entry->file);
  if (status != TP_OK) return status;
  if (entry->file.count < sizeof MAGIC || memcmp(entry->file.data, MAGIC, sizeof MAGIC) != 0) {
    entry->plan = entry->file.data;
    entry->plan_bytes = entry->file.count;
    return TP_OK;
  }
  const char *key = NULL;
  size_t bytes = 0;
  tp_text reason = {0};
  if (!unpack(entry, &key, &bytes)) tp_text_add(&reason, "it is damaged");
  else if (fits(trt, device, key, bytes, &reason)) return TP_OK;
  tp_trt_entry_free(entry);
  return tp_fail(TP_ERR_PARSE, "cannot use the engine \"%s\": %s", path, reason.text);
}

void tp_trt_entry_free(tp_trt_entry *entry) {
  tp_free(entry->file.data);
  *entry = (tp_trt_entry){0};
}
