#define _XOPEN_SOURCE 700 /* realpath */
#include "onnx_library.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"
#include "status.h"
#include "text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock` until `opened`; constant afterwards. */
static tp_ort process_ort;
static bool opened;

static void fill_table(const tp_ort_function *table) {
#define FILL(name, slot, result, parameters) process_ort.name = (result(*) parameters)table[slot];
  TP_ORT_FUNCTIONS(FILL)
#undef FILL
}

int32_t tp_ort_check(const tp_ort *ort, OrtStatus *failed, int32_t status, const char *doing) {
  if (failed == NULL) return TP_OK;
  char text[2048];
  snprintf(text, sizeof text, "%s", ort->GetErrorMessage(failed));
  ort->ReleaseStatus(failed);
  tp_text_strip_folders(text);
  size_t length = strlen(text);
  while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' ' || text[length - 1] == '.'))
    length--;
  for (size_t i = 0; i < length; i++) {
    if ((unsigned char)text[i] < 0x20) text[i] = ' ';
  }
  return tp_fail(status, "%s: %.*s", doing, (int)length, text);
}

/*
 * From 1.30 on, an environment of ONNX Runtime on Linux reports to its maker: a thread, a database in the
 * user's cache folder, a log in /tmp, and a queue that grows with each failed run. This variable is the only
 * way to stop it; a value that the user has set is left alone. Changing the environment is not safe while
 * other threads read it; this is done once in a process, and the first change that a process makes leaves the
 * old environment readable.
 */
static void keep_quiet(void) { setenv("ORT_DISABLE_TELEMETRY", "1", 0); }

static int32_t make_environment(void) {
  tp_ort *ort = &process_ort;
  keep_quiet();
  /* Everything that it would log it also returns, and stderr belongs to the user. */
  int32_t status = tp_ort_check(ort, ort->CreateEnv(ORT_LOG_FATAL, "trtpipe", &ort->env), TP_ERR_LIBRARY,
                                "cannot start ONNX Runtime");
  if (status != TP_OK) return status;
  status = tp_ort_check(ort, ort->CreateCpuMemoryInfo(ORT_ALLOCATOR_DEVICE, ORT_MEMORY_DEFAULT, &ort->cpu),
                        TP_ERR_LIBRARY, "cannot start ONNX Runtime");
  if (status == TP_OK) {
    status = tp_ort_check(ort, ort->GetAllocatorWithDefaultOptions(&ort->allocator), TP_ERR_LIBRARY,
                          "cannot start ONNX Runtime");
  }
  if (status == TP_OK) return TP_OK;
  if (ort->cpu != NULL) ort->ReleaseMemoryInfo(ort->cpu);
  ort->ReleaseEnv(ort->env);
  return status;
}

/* True when this library is there and fits; else its reason is noted. */
static bool try_library(const char *name, tp_text *tried) {
  void *library = tp_library_open(name, tried);
  if (library == NULL) return false;
  tp_function found = tp_library_function(library, "OrtGetApiBase");
  if (found == NULL) {
    tp_text_tried(tried, name, "it is not ONNX Runtime: it has no OrtGetApiBase");
    return false;
  }
  const OrtApiBase *(*base_of)(void) = (const OrtApiBase *(*)(void))found;
  const OrtApiBase *base = base_of();
  const char *version = base->GetVersionString();
  const tp_ort_function *table = base->GetApi(TP_ORT_VERSION);
  if (table == NULL) {
    char reason[128];
    snprintf(reason, sizeof reason, "it is ONNX Runtime %.32s; 1.%u or later is needed", version,
             TP_ORT_VERSION);
    tp_text_tried(tried, name, reason);
    return false;
  }
  process_ort = (tp_ort){0};
  fill_table(table);
  unsigned minor = 0;
  if (sscanf(version, "1.%u", &minor) == 1 && minor >= TP_ORT_VERSION_HAS_SHAPE) {
    const tp_ort_function *newer = base->GetApi(TP_ORT_VERSION_HAS_SHAPE);
    if (newer != NULL) process_ort.HasShape = (uint8_t (*)(const OrtShapeInfo *))newer[TP_ORT_HAS_SHAPE];
  }
  snprintf(process_ort.version, sizeof process_ort.version, "%s", version);
  snprintf(process_ort.path, sizeof process_ort.path, "%s", tp_library_path(found, name));
  return true;
}

/* What is tried when no option names a library: where the loader looks. */
static const char *const loaders[] = {"libonnxruntime.so.1", "libonnxruntime.so"};

static int32_t find_library(const tp_options *options) {
  tp_text tried = {0};
  const char *name = tp_options_next(options, "onnxruntime", NULL);
  if (name == NULL) {
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++) {
      if (try_library(loaders[i], &tried)) return make_environment();
    }
  }
  /* Who names libraries gets one of them, or none. */
  for (; name != NULL; name = tp_options_next(options, "onnxruntime", name)) {
    if (try_library(name, &tried)) return make_environment();
  }
  return tp_fail(TP_ERR_LIBRARY, "cannot find ONNX Runtime; tried %s", tried.text);
}

/* Whether `name` may be the library that the process has: that very file, or whatever the loader finds. */
static bool is_open(const char *name) {
  if (strchr(name, '/') == NULL) return true;
  char *wanted = realpath(name, NULL);
  char *has = realpath(process_ort.path, NULL);
  bool same = wanted != NULL && has != NULL && strcmp(wanted, has) == 0;
  free(wanted);
  free(has);
  return same;
}

/* One process has one ONNX Runtime; a model that asks for another one is refused. */
static int32_t check_open(const tp_options *options) {
  const char *name = tp_options_next(options, "onnxruntime", NULL);
  if (name == NULL) return TP_OK;
  for (const char *next = name; next != NULL; next = tp_options_next(options, "onnxruntime", next)) {
    if (is_open(next)) return TP_OK;
  }
  return tp_fail(TP_ERR_LIBRARY, "cannot use ONNX Runtime \"%s\": this process already uses \"%s\"", name,
                 process_ort.path);
}

int32_t tp_ort_open(const tp_options *options, const tp_ort **ort) {
  pthread_mutex_lock(&lock);
  int32_t status = opened ? check_open(options) : find_library(options);
  opened = opened || status == TP_OK;
  pthread_mutex_unlock(&lock);
  *ort = &process_ort;
  return status;
}
