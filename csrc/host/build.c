#include "build.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../cuda.h"
#include "../file.h"
#include "../memory.h"
#include "../tensorrt_build.h"
#include "../tensorrt_host.h"

static const tp_option_key keys[] = {
    {"onnx", false}, {"plan", false}, {"device", false}, TP_TRT_KEYS, {NULL, false}};

/* Ends this process when the one that started it is gone: it held the other end of standard input. */
static void *watch(void *unused) {
  char byte;
  (void)unused;
  while (read(0, &byte, 1) > 0) {}
  _exit(3);
}

/* The arguments as the library takes options: records that end with NUL bytes. */
static int32_t read_arguments(int count, char **arguments, tp_options *options) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += strlen(arguments[i]) + 1;
  char *records = tp_alloc(bytes), *at = records;
  if (records == NULL) return TP_ERR_MEMORY;
  for (int i = 0; i < count; i++) {
    size_t length = strlen(arguments[i]) + 1;
    memcpy(at, arguments[i], length);
    at += length;
  }
  int32_t status = tp_options_parse(records, (uint32_t)bytes, options);
  tp_free(records);
  return status == TP_OK ? tp_options_check(options, "trtpipe-host build", keys) : status;
}

/* The device's context becomes this thread's, where TensorRT looks for it. */
static int32_t enter_device(const tp_options *options, const tp_trt *trt, uint32_t ordinal) {
  const char *none = tp_options_get(options, "device");
  if (none != NULL) {
    if (strcmp(none, "none") == 0 && trt->family == TP_TRT_RTX) return TP_OK;
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot build with device=%.40s: only TensorRT for RTX builds without one", none);
  }
  tp_text missing = {0}, found = {0};
  const tp_cuda *cuda = NULL;
  tp_cuda_device *device = NULL;
  if (tp_cuda_open(options, &missing, &found, &cuda) != TP_OK)
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot build an engine: %s", missing.text);
  return tp_cuda_device_open(cuda, ordinal, &device);
}

static int32_t build(const tp_options *options) {
  const char *onnx = tp_options_get(options, "onnx"), *to = tp_options_get(options, "plan");
  tp_text missing = {0}, found = {0};
  const tp_trt *trt = NULL;
  tp_trt_settings *settings = tp_alloc(sizeof *settings);
  tp_trt_parser_library parser;
  tp_bytes model = {0};
  tp_trt_plan plan = {0};
  if (settings == NULL) return TP_ERR_MEMORY;
  int32_t status = tp_trt_settings_read(options, settings);
  if (status == TP_OK && (onnx == NULL || to == NULL))
    status = tp_fail(TP_ERR_ARGUMENT, "cannot build an engine: expected onnx=PATH and plan=PATH");
  if (status == TP_OK && tp_trt_open(options, &missing, &found, &trt) != TP_OK)
    status = tp_fail(TP_ERR_UNSUPPORTED, "cannot build an engine: %s", missing.text);
  if (status == TP_OK) status = enter_device(options, trt, settings->device_id);
  if (status == TP_OK) status = tp_trt_parser_open(trt, options, &parser);
  if (status == TP_OK) status = tp_file_read(onnx, &model);
  if (status == TP_OK) status = tp_trt_build(trt, &parser, settings, model.data, model.count, &plan);
  if (status == TP_OK)
    status = tp_file_write(to, &(tp_bytes){(uint8_t *)(uintptr_t)plan.data, plan.bytes}, 1);
  tp_trt_plan_free(&plan);
  tp_free(model.data);
  tp_free(settings);
  return status;
}

int tp_host_build(int count, char **arguments) {
  pthread_t watcher;
  tp_options options = {0};
  char text[4096];
  int32_t status = read_arguments(count, arguments, &options);
  if (status == TP_OK && pthread_create(&watcher, NULL, watch, NULL) == 0) {
    pthread_detach(watcher);
    status = build(&options);
  } else if (status == TP_OK) {
    status = tp_fail(TP_ERR_MEMORY, "cannot build an engine: no thread for it");
  }
  tp_options_free(&options);
  if (status == TP_OK) return 0;
  tp_last_error(text, sizeof text);
  printf(TP_TRT_HOST_SAYS "%d %s", status, text);
  return 1;
}
