/*
 * TensorrtTensor: TensorRT on a CUDA device.
 *
 * A TensorRT library is called only where the CUDA driver works: some versions end the process when CUDA does
 * not start.
 */
#include <string.h>

#include "cuda.h"
#include "memory.h"
#include "status.h"
#include "tensorrt_instance.h"
#include "tensorrt_library.h"
#include "tensorrt_load.h"

typedef struct trt_model {
  tp_trt_settings settings;
  tp_trt_engine engine;
} trt_model;

static const tp_option_key keys[] = {{"backend", false}, {"path", false},  {"model::cache", false},
                                     {"host", false},    {"build", false}, TP_TRT_KEYS,
                                     {NULL, false}};

/* CUDA and TensorRT; if either is missing, the error tells of both. */
static int32_t find_libraries(const tp_options *options, const tp_cuda **cuda, const tp_trt **trt) {
  tp_text missing = {0}, found = {0};
  int32_t no_cuda = tp_cuda_open(options, &missing, &found, cuda);
  int32_t no_trt = tp_trt_open(options, &missing, &found, trt);
  if (no_cuda == TP_OK && no_trt == TP_OK) return TP_OK;
  return tp_fail(TP_ERR_UNSUPPORTED, "cannot run TensorRT on this machine: %s%s%s", missing.text,
                 found.length > 0 ? "; found " : "", found.text);
}

/* From the model to an engine on the device. */
static int32_t load(const tp_options *options, const void *model, size_t bytes, trt_model *m,
                    tp_model_info *info) {
  const char *path = tp_options_get(options, "path");
  if ((path != NULL) == (model != NULL)) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot open a model: expected a path or the model's bytes, got %s",
                   path != NULL ? "both" : "neither");
  }
  tp_text note = {0};
  tp_bytes given = {(uint8_t *)(uintptr_t)model, bytes};
  int32_t status = tp_trt_load(options, &m->settings, path, &given, &m->engine, &note);
  if (status != TP_OK || note.length == 0) return status;
  info->note = tp_copy(note.text, note.length);
  return info->note != NULL ? TP_OK : TP_ERR_MEMORY;
}

static void close_tensorrt(void *model) {
  trt_model *m = model;
  tp_trt_engine_close(&m->engine);
  tp_free(m);
}

static int32_t open_tensorrt(const tp_options *options, const void *model, uint64_t model_bytes,
                             tp_model_info *info, void **state) {
  trt_model *m = tp_alloc(sizeof *m);
  if (m == NULL) return TP_ERR_MEMORY;
  const tp_cuda *cuda = NULL;
  int32_t status = tp_trt_settings_read(options, &m->settings);
  if (status == TP_OK) status = find_libraries(options, &cuda, &m->engine.trt);
  if (status == TP_OK) status = tp_cuda_device_open(cuda, m->settings.device_id, &m->engine.device);
  if (status == TP_OK) status = load(options, model, (size_t)model_bytes, m, info);
  if (status == TP_OK) status = tp_trt_engine_describe(&m->engine, info);
  if (status == TP_OK && m->settings.device_outputs && info->outputs > 32) {
    status =
        tp_fail(TP_ERR_UNSUPPORTED, "cannot keep outputs on the device: the model has %u, and only 32 can be",
                info->outputs);
  }
  if (status == TP_OK) *state = m;
  else close_tensorrt(m);
  return status;
}

static int32_t create(void *model, const tp_model_info *info, uint32_t capacity, void **state) {
  const trt_model *m = model;
  return tp_trt_instance_create(&m->engine, info, &m->settings, capacity, state);
}

/* A batch on a device ends by itself; CUDA has no way to end it early. */
static void interrupt(void *instance) { (void)instance; }

const tp_backend tp_backend_tensorrt = {
    .name = "TensorrtTensor",
    .keys = keys,
    /* The engine reads and writes the device's memory only. */
    .in_place_bytes = UINT64_MAX,
    .open = open_tensorrt,
    .close = close_tensorrt,
    .instance_create = create,
    .stage = tp_trt_stage,
    .pin_limit = tp_trt_pin_limit,
    .pin = tp_trt_pin,
    .unpin = tp_cuda_unpin,
    /* A copy that a device is asked for costs some microseconds, as long as copying so much does. */
    .piece_bytes = 16384,
    .run = tp_trt_run,
    .destroy = tp_trt_destroy,
    .device = tp_trt_device,
    .release_output = tp_free,
    .interrupt = interrupt,
    .resume = interrupt,
};
