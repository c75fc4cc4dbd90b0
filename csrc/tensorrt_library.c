#include "tensorrt_library.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tensorrt_logger.h"

/* The one version of TensorRT for RTX whose tables are known: they are not quite those of 11. */
#define RTX_MAJOR 1
#define RTX_MINOR 7

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock` until opened; constant afterwards. */
static tp_trt process_trt;
static bool opened;

static const char *const names[] = {"libnvinfer.so.11", "libnvinfer.so.10", "libtensorrt_rtx.so.1"};

/* The gate: what is not known is never called. Before 10, 8.6.1 was numbered 8601. */
static bool find_family(int32_t version, tp_trt *trt) {
  int32_t major = version / 10000, minor = version / 100 % 100, patch = version % 100;
  const char *product = major == RTX_MAJOR ? "TensorRT for RTX" : "TensorRT";
  snprintf(trt->name, sizeof trt->name, "%s %d.%d.%d", product, major, minor, patch);
  if (version < 10000 && version >= 1000)
    snprintf(trt->name, sizeof trt->name, "TensorRT %d.%d.%d", version / 1000, version / 100 % 10, patch);
  trt->version = version;
  trt->family = major == 10 ? TP_TRT_10 : major == 11 ? TP_TRT_11 : TP_TRT_RTX;
  return major == 10 || major == 11 || (major == RTX_MAJOR && minor == RTX_MINOR);
}

static void fill_slots(tp_trt *trt) {
  static const int16_t table[TP_TRT_SLOT_COUNT][5] = {
#define ROW(id, result, parameters, slot10, minor10, slot11, minor11, rtx) \
  {slot10, minor10, slot11, minor11, rtx},
      TP_TRT_SLOTS(ROW)
#undef ROW
  };
  int32_t minor = trt->version / 100 % 100;
  for (int i = 0; i < TP_TRT_SLOT_COUNT; i++) {
    const int16_t *row = table[i];
    if (trt->family == TP_TRT_RTX) trt->slots[i] = row[4];
    else if (trt->family == TP_TRT_10) trt->slots[i] = minor >= row[1] ? row[0] : -1;
    else trt->slots[i] = minor >= row[3] ? row[2] : -1;
  }
}

/* True when this library is there and known; else its reason is noted. */
static bool try_library(const char *name, tp_text *tried) {
  void *library = tp_library_open(name, tried);
  if (library == NULL) return false;
  typedef int32_t (*version_function)(void);
  typedef void *(*create_function)(void *logger, int32_t version);
  tp_trt *trt = &process_trt;
  *trt = (tp_trt){0};
  version_function version_of = (version_function)tp_library_function(library, "getInferLibVersion");
  trt->create_runtime = (create_function)tp_library_function(library, "createInferRuntime_INTERNAL");
  trt->create_builder = (create_function)tp_library_function(library, "createInferBuilder_INTERNAL");
  if (version_of == NULL || trt->create_runtime == NULL) {
    tp_text_tried(tried, name,
                  "it is not TensorRT: it has no getInferLibVersion or no createInferRuntime_INTERNAL");
    return false;
  }
  if (!find_family(version_of(), trt)) {
    char reason[128];
    snprintf(reason, sizeof reason, "it is %.47s; 10, 11 or TensorRT for RTX %d.%d is needed", trt->name,
             RTX_MAJOR, RTX_MINOR);
    tp_text_tried(tried, name, reason);
    return false;
  }
  fill_slots(trt);
  trt->logger = tp_trt_logger(trt->family);
  snprintf(trt->path, sizeof trt->path, "%s", tp_library_path((tp_function)version_of, name));
  return true;
}

static bool find_library(const tp_options *options, tp_text *missing) {
  tp_text tried = {0}, others = {0};
  const char *name = NULL;
  while ((name = tp_options_next(options, "tensorrt", name)) != NULL) {
    if (*name != '\0' && try_library(name, &tried)) return true;
  }
  /* One that was named is used or is an error, and never replaced by another. */
  for (size_t i = 0; tried.length == 0 && i < sizeof names / sizeof names[0]; i++) {
    tp_text reason = {0};
    if (try_library(names[i], &reason)) return true;
    tp_text_add(&others, "%s%s", others.length > 0 ? "; " : "", reason.text);
  }
  tp_text_add(missing, "%sno TensorRT library (tried %s)", missing->length > 0 ? "; " : "",
              tried.length > 0 ? tried.text : others.text);
  return false;
}

int32_t tp_trt_open(const tp_options *options, tp_text *missing, tp_text *found, const tp_trt **trt) {
  pthread_mutex_lock(&lock);
  if (!opened) opened = find_library(options, missing);
  bool usable = opened;
  pthread_mutex_unlock(&lock);
  if (!usable) return TP_ERR_UNSUPPORTED;
  tp_text_add(found, "%s%s (%.1000s)", found->length > 0 ? ", " : "", process_trt.name, process_trt.path);
  *trt = &process_trt;
  return TP_OK;
}

static bool try_parser(const char *name, tp_trt_parser_library *parser, tp_text *tried) {
  void *library = tp_library_open(name, tried);
  if (library == NULL) return false;
  typedef void *(*create_function)(void *network, void *logger, int32_t version);
  typedef int32_t (*version_function)(void);
  version_function version_of = (version_function)tp_library_function(library, "getNvOnnxParserVersion");
  parser->create = (create_function)tp_library_function(library, "createNvOnnxParser_INTERNAL");
  if (parser->create == NULL || version_of == NULL) {
    tp_text_tried(tried, name, "it is not TensorRT's ONNX parser: it has no createNvOnnxParser_INTERNAL");
    return false;
  }
  parser->version = version_of();
  return true;
}

int32_t tp_trt_parser_open(const tp_trt *trt, const tp_options *options, tp_trt_parser_library *parser) {
  bool rtx = trt->family == TP_TRT_RTX;
  const char *stem = rtx ? "libtensorrt_rtx.so" : "libnvinfer.so";
  const char *parser_stem = rtx ? "libtensorrt_onnxparser_rtx.so" : "libnvonnxparser.so";
  const char *given = tp_options_get(options, "tensorrt_parser");
  tp_text tried = {0};
  char name[4200];
  if (given != NULL && *given != '\0') {
    if (try_parser(given, parser, &tried)) return TP_OK;
    return tp_fail(TP_ERR_LIBRARY, "cannot open TensorRT's ONNX parser; tried %s", tried.text);
  }
  /* The one beside the library, with the same version behind its name; then whatever the loader finds. */
  const char *at = strstr(trt->path, stem);
  if (at != NULL) {
    snprintf(name, sizeof name, "%.*s%s%s", (int)(at - trt->path), trt->path, parser_stem, at + strlen(stem));
    if (try_parser(name, parser, &tried)) return TP_OK;
  }
  snprintf(name, sizeof name, "%s.%d", parser_stem, (int)(trt->version / 10000));
  if (try_parser(name, parser, &tried)) return TP_OK;
  return tp_fail(TP_ERR_LIBRARY, "cannot find the ONNX parser of %s; tried %s", trt->name, tried.text);
}
