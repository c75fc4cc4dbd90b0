#include "build.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../cuda.h"
#include "../file.h"
#include "../memory.h"
#include "../tensorrt_build.h"
#include "../tensorrt_host.h"
#include "../tensorrt_monitor.h"
#include "arguments.h"

static const tp_option_key keys[] = {{"onnx", false},   {"plan", false},     {"device", false},
                                     {"timing", false}, {"progress", false}, TP_TRT_KEYS,
                                     {NULL, false}};

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

/* What earlier builds measured; no file, or an empty one, is nothing. */
static int32_t read_timing(const char *path, tp_bytes *known, tp_trt_timing *timing) {
  timing->wanted = path != NULL;
  if (path == NULL || access(path, F_OK) != 0) return TP_OK;
  int32_t status = tp_file_read(path, known);
  timing->known = known->count > 0 ? known->data : NULL;
  timing->known_bytes = known->count;
  return status;
}

static int32_t write_plan(const char *path, const tp_trt_plan *plan) {
  return tp_file_write(path, &(tp_bytes){(uint8_t *)(uintptr_t)plan->data, plan->bytes}, 1);
}

static int32_t build(const tp_options *options) {
  const char *onnx = tp_options_get(options, "onnx"), *to = tp_options_get(options, "plan");
  tp_text missing = {0}, found = {0};
  const tp_trt *trt = NULL;
  tp_trt_settings *settings = tp_alloc(sizeof *settings);
  tp_trt_parser_library parser;
  const char *timing_path = tp_options_get(options, "timing");
  tp_bytes model = {0}, known = {0};
  tp_trt_timing timing = {0};
  tp_trt_plan plan = {0};
  uint32_t progress = 0;
  if (settings == NULL) return TP_ERR_MEMORY;
  int32_t status = tp_trt_settings_read(options, settings);
  if (status == TP_OK) status = tp_options_number(options, "progress", 3, 1023, 0, &progress);
  tp_trt_monitor_begin(progress != 0 ? (int)progress : -1);
  if (status == TP_OK && (onnx == NULL || to == NULL))
    status = tp_fail(TP_ERR_ARGUMENT, "cannot build an engine: expected onnx=PATH and plan=PATH");
  if (status == TP_OK && tp_trt_open(options, &missing, &found, &trt) != TP_OK)
    status = tp_fail(TP_ERR_UNSUPPORTED, "cannot build an engine: %s", missing.text);
  if (status == TP_OK) status = enter_device(options, trt, settings->device_id);
  if (status == TP_OK) status = tp_trt_parser_open(trt, options, &parser);
  if (status == TP_OK) status = tp_file_read(onnx, &model);
  if (status == TP_OK) status = read_timing(timing_path, &known, &timing);
  if (status == TP_OK) status = tp_trt_build(trt, &parser, settings, model.data, model.count, &timing, &plan);
  if (status == TP_OK && timing.wanted) status = write_plan(timing_path, &timing.made);
  if (status == TP_OK) status = write_plan(to, &plan);
  tp_trt_plan_free(&timing.made);
  tp_trt_plan_free(&plan);
  tp_free(known.data);
  tp_free(model.data);
  tp_free(settings);
  return status;
}

int tp_host_build(int count, char **arguments) {
  tp_options options = {0};
  char text[4096];
  int32_t status = tp_host_arguments(count, arguments, "trtpipe-host build", keys, &options);
  if (status == TP_OK && !tp_host_tie_to_stdin())
    status = tp_fail(TP_ERR_MEMORY, "cannot build an engine: no thread for it");
  if (status == TP_OK) status = build(&options);
  tp_options_free(&options);
  if (status == TP_OK) return 0;
  tp_last_error(text, sizeof text);
  printf(TP_TRT_HOST_SAYS "%d %s", status, text);
  return 1;
}
