#include "probe.h"

#include <stdio.h>
#include <string.h>

#include "../cuda.h"
#include "../json.h"
#include "../loader.h"
#include "../memory.h"
#include "../onnx_library.h"
#include "../tensorrt_engine.h"
#include "../tensorrt_host.h"
#include "../tensorrt_library.h"
#include "../tensorrt_object.h"
#include "arguments.h"
#include "probe_engine.h"

static const tp_option_key keys[] = {{"cuda", false},       {"tensorrt", true}, {"tensorrt_parser", false},
                                     {"onnxruntime", true}, {"engine", false},  {"device_id", false},
                                     {NULL, false}};

static void add_text(tp_json *json, const char *key, const char *value) {
  tp_json_key(json, key);
  tp_json_text(json, value);
}

static void add_number(tp_json *json, const char *key, int64_t value) {
  tp_json_key(json, key);
  tp_json_number(json, value);
}

static void add_failure(tp_json *json, const char *key) {
  char text[4096];
  tp_last_error(text, sizeof text);
  add_text(json, key, text);
}

/* ---- CUDA ---------------------------------------------------------------------------------------------- */

static void add_device(const tp_cuda *cuda, int ordinal, tp_json *json) {
  tp_cuda_device *device = NULL;
  tp_json_open(json, '{');
  add_number(json, "device", ordinal);
  if (tp_cuda_device_open(cuda, (uint32_t)ordinal, &device) != TP_OK) {
    add_failure(json, "missing");
  } else {
    char capability[32];
    snprintf(capability, sizeof capability, "%d.%d", device->major, device->minor);
    add_text(json, "name", device->name);
    add_text(json, "computeCapability", capability);
    add_text(json, "uuid", device->uuid);
  }
  tp_json_close(json, '}');
}

static void probe_cuda(const tp_options *options, tp_json *json) {
  tp_text missing = {0}, found = {0};
  const tp_cuda *cuda = NULL;
  if (tp_cuda_open(options, &missing, &found, &cuda) != TP_OK) {
    add_text(json, "missing", missing.text);
    return;
  }
  tp_function function;
  memcpy(&function, &cuda->init, sizeof function);
  char version[32];
  snprintf(version, sizeof version, "%d.%d", cuda->version / 1000, cuda->version % 1000 / 10);
  add_text(json, "path", tp_library_path(function, ""));
  add_text(json, "version", version);
  tp_json_key(json, "devices");
  tp_json_open(json, '[');
  for (int i = 0; i < cuda->devices; i++) add_device(cuda, i, json);
  tp_json_close(json, ']');
}

/* ---- TensorRT ------------------------------------------------------------------------------------------ */

static const char *table_name(tp_trt_family family) {
  return family == TP_TRT_10 ? "TensorRT 10" : family == TP_TRT_11 ? "TensorRT 11" : "TensorRT for RTX 1.7";
}

/* Which table of slots was chosen, and what this version lacks of it. */
static void add_slots(const tp_trt *trt, tp_json *json) {
#define NAME(id, ...) #id,
  static const char *const names[] = {TP_TRT_SLOTS(NAME)};
#undef NAME
  add_text(json, "slotTable", table_name(trt->family));
  tp_json_key(json, "slotsAbsent");
  tp_json_open(json, '[');
  for (int i = 0; i < TP_TRT_SLOT_COUNT; i++) {
    if (trt->slots[i] < 0) tp_json_text(json, names[i]);
  }
  tp_json_close(json, ']');
}

static void add_parser(const tp_trt *trt, const tp_options *options, tp_json *json) {
  tp_trt_parser_library parser = {0};
  tp_json_key(json, "parser");
  tp_json_open(json, '{');
  if (tp_trt_parser_open(trt, options, &parser) != TP_OK) {
    add_failure(json, "missing");
  } else {
    tp_function function;
    memcpy(&function, &parser.create, sizeof function);
    add_text(json, "path", tp_library_path(function, ""));
  }
  tp_json_close(json, '}');
}

/* TensorRT is called only where CUDA works: some versions end the process when it does not. */
static void add_runtime(const tp_trt *trt, const tp_options *options, tp_json *json) {
  tp_text missing = {0}, found = {0};
  const tp_cuda *cuda = NULL;
  tp_cuda_device *device = NULL;
  void *runtime = NULL;
  tp_json_key(json, "runtime");
  tp_json_open(json, '{');
  int32_t status = tp_cuda_open(options, &missing, &found, &cuda);
  if (status != TP_OK) tp_fail(status, "not tried: %s", missing.text);
  else status = tp_cuda_device_open(cuda, 0, &device);
  if (status == TP_OK) status = tp_trt_runtime_open(trt, &runtime);
  if (status == TP_OK) add_text(json, "device", device->name);
  else add_failure(json, "missing");
  tp_trt_delete(runtime);
  tp_json_close(json, '}');
}

static void probe_tensorrt(const tp_options *options, tp_json *json) {
  tp_text missing = {0}, found = {0};
  const tp_trt *trt = NULL;
  if (tp_trt_open(options, &missing, &found, &trt) != TP_OK) {
    add_text(json, "missing", missing.text);
    return;
  }
  add_text(json, "path", trt->path);
  add_text(json, "version", trt->name);
  add_slots(trt, json);
  add_parser(trt, options, json);
  add_runtime(trt, options, json);
}

/* ---- ONNX Runtime -------------------------------------------------------------------------------------- */

static void probe_onnxruntime(const tp_options *options, tp_json *json) {
  const tp_ort *ort = NULL;
  if (tp_ort_open(options, &ort) != TP_OK) {
    add_failure(json, "missing");
    return;
  }
  add_text(json, "path", ort->path);
  add_text(json, "version", ort->version);
}

/* -------------------------------------------------------------------------------------------------------- */

static int told(int32_t status, const char *text) {
  printf(TP_TRT_HOST_SAYS "%d %s\n", status, text);
  return 2;
}

int tp_host_probe(int count, char **arguments) {
  static const struct {
    const char *name;
    void (*probe)(const tp_options *options, tp_json *json);
  } probes[] = {{"cuda", probe_cuda},
                {"tensorrt", probe_tensorrt},
                {"onnxruntime", probe_onnxruntime},
                {"engine", tp_host_probe_engine}};
  const char *what = count > 0 ? arguments[0] : "";
  size_t i = 0, all = sizeof probes / sizeof probes[0];
  while (i < all && strcmp(probes[i].name, what) != 0) i++;
  if (i == all) return told(TP_ERR_ARGUMENT, "expected cuda, tensorrt, onnxruntime or engine");
  tp_options options = {0};
  char text[4096];
  int32_t status = tp_host_arguments(count - 1, arguments + 1, "trtpipe-host probe", keys, &options);
  if (status != TP_OK) {
    tp_last_error(text, sizeof text);
    return told(status, text);
  }
  tp_json json = {0};
  tp_json_open(&json, '{');
  probes[i].probe(&options, &json);
  tp_json_close(&json, '}');
  if (json.failed) return told(TP_ERR_MEMORY, "out of memory");
  printf(TP_TRT_HOST_SAYS "0 %s\n", json.text);
  tp_free(json.text);
  tp_options_free(&options);
  return 0;
}
