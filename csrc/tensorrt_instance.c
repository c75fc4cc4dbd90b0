#include "tensorrt_instance.h"

#include <string.h>

#include "memory.h"
#include "model_info.h"
#include "status.h"
#include "tensorrt_logger.h"
#include "tensorrt_object.h"

bool tp_trt_shape_bytes(const tp_model_info *info, uint32_t k, const tp_trt_dims *shape, uint64_t *bytes) {
  if (shape->rank < 0 || shape->rank > TP_MAX_RANK) return false;
  for (int32_t d = 0; d < shape->rank; d++) {
    if (shape->dims[d] < 0) return false;
  }
  return tp_item_bytes(info->tensors[k].dtype, shape->rank, shape->dims, bytes);
}

static bool same_shape(const tp_trt_dims *a, const tp_trt_dims *b) {
  return a->rank >= 0 && a->rank == b->rank &&
         memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

int32_t tp_trt_set_shape(tp_trt_instance *x, uint32_t k, const tp_trt_dims *shape) {
  tp_trt_tensor *tensor = &x->tensors[k];
  if (same_shape(&tensor->shape, shape)) return TP_OK;
  x->shapes_known = false;
  tensor->shape.rank = -1;
  if (!TRT(x->engine->trt, context_set_shape, x->context, tensor->name, shape)) {
    tp_text doing = {0};
    tp_text_add(&doing, "TensorRT refused a batch whose input \"%.200s\" has the shape ", tensor->name);
    for (int32_t d = 0; d < shape->rank; d++)
      tp_text_add(&doing, "%s%lld", d > 0 ? "x" : "", (long long)shape->dims[d]);
    return tp_trt_fail(TP_ERR_EXECUTION, doing.text);
  }
  tensor->shape = *shape;
  return TP_OK;
}

int32_t tp_trt_infer_shapes(tp_trt_instance *x) {
  if (x->shapes_known) return TP_OK;
  const char *missing = NULL;
  int32_t answer = TRT(x->engine->trt, context_infer_shapes, x->context, 1, &missing);
  x->shapes_known = answer == 0;
  if (answer == 0) return TP_OK;
  if (answer > 0) {
    return tp_fail(TP_ERR_EXECUTION, "TensorRT cannot work out a batch's shapes: input \"%.200s\" has none",
                   missing != NULL ? missing : "?");
  }
  return tp_trt_fail(TP_ERR_EXECUTION, "TensorRT cannot work out a batch's shapes");
}

int32_t tp_trt_place(tp_trt_instance *x, uint32_t k, uint64_t bytes) {
  tp_trt_tensor *tensor = &x->tensors[k];
  int32_t status = tp_cuda_memory_fit(&x->queue, &tensor->memory, bytes, 0);
  if (status != TP_OK || tensor->bound == tensor->memory.at) return status;
  tensor->bound = 0;
  void *address = (void *)(uintptr_t)tensor->memory.at;
  if (!TRT(x->engine->trt, context_set_address, x->context, tensor->name, address))
    return tp_trt_fail(TP_ERR_EXECUTION, "TensorRT refused the memory of a tensor");
  tensor->bound = tensor->memory.at;
  return TP_OK;
}

/* All instances share profile 0. The first context of an engine has it already. */
static int32_t take_profile(tp_trt_instance *x) {
  const tp_trt *trt = x->engine->trt;
  if (TRT0(trt, context_profile, x->context) == 0) return TP_OK;
  if (!TRT(trt, context_set_profile, x->context, 0, x->queue.stream))
    return tp_trt_fail(TP_ERR_UNSUPPORTED, "TensorRT refused another instance's profile");
  return tp_cuda_queue_wait(&x->queue, "cannot set an instance's profile");
}

static int32_t check_capacity(const tp_trt_instance *x, uint32_t capacity) {
  for (uint32_t k = 0; x->info->batching == TP_BATCHING_DYNAMIC && k < x->info->inputs; k++) {
    tp_trt_dims largest = tp_trt_engine_largest(x->engine, x->tensors[k].name);
    if (largest.rank > 0 && largest.dims[0] >= (int64_t)capacity) continue;
    return tp_fail(TP_ERR_UNSUPPORTED,
                   "cannot create an instance for %u rows: the engine was built for at most %lld", capacity,
                   (long long)(largest.rank > 0 ? largest.dims[0] : 0));
  }
  return TP_OK;
}

/* Takes the memory of the largest batch now, so that no run has to wait for it. */
static int32_t take_memory(tp_trt_instance *x) {
  const tp_model_info *info = x->info;
  const tp_trt *trt = x->engine->trt;
  int32_t status = TP_OK;
  for (uint32_t k = 0; status == TP_OK && k < info->inputs; k++) {
    tp_trt_dims largest = tp_trt_engine_largest(x->engine, x->tensors[k].name);
    status = tp_trt_set_shape(x, k, &largest);
  }
  for (uint32_t k = 0; status == TP_OK && k < info->inputs + info->outputs; k++) {
    if (k == info->inputs) status = tp_trt_infer_shapes(x);
    if (status != TP_OK) break;
    tp_trt_dims shape =
        k < info->inputs ? x->tensors[k].shape : TRT(trt, context_shape, x->context, x->tensors[k].name);
    uint64_t bytes;
    if (tp_trt_shape_bytes(info, k, &shape, &bytes)) status = tp_trt_place(x, k, bytes);
    else if (k >= info->inputs) status = tp_trt_output_late(x, k);
    else
      status = tp_fail(TP_ERR_UNSUPPORTED, "cannot use input \"%.200s\": the engine does not say its size",
                       x->tensors[k].name);
  }
  return status;
}

static int32_t prepare(tp_trt_instance *x, const tp_trt_settings *settings, uint32_t capacity) {
  const tp_trt_engine *e = x->engine;
  int32_t status = check_capacity(x, capacity);
  if (status == TP_OK) status = tp_cuda_queue_open(e->device, settings->spin_us, &x->queue);
  if (status != TP_OK) return status;
  tp_trt_listen();
  x->context = tp_trt_object(TRT(e->trt, engine_create_context, e->engine, TRT_STRATEGY_STATIC),
                             TP_TRT_CLASS_CONTEXT, TP_ERR_MEMORY, "TensorRT could not create an instance");
  if (x->context == NULL) return TP_ERR_MEMORY;
  status = take_profile(x);
  if (status == TP_OK) status = take_memory(x);
  return status == TP_OK && settings->graphs ? tp_trt_graphs_create(x, capacity) : status;
}

int32_t tp_trt_instance_create(const tp_trt_engine *engine, const tp_model_info *info,
                               const tp_trt_settings *settings, uint32_t capacity, void **instance) {
  int32_t status = tp_cuda_enter(engine->device);
  if (status != TP_OK) return status;
  tp_trt_instance *x = tp_alloc(sizeof *x);
  if (x == NULL) return TP_ERR_MEMORY;
  x->engine = engine;
  x->info = info;
  x->device_outputs = settings->device_outputs;
  x->pinned_bytes = settings->pinned_bytes;
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    x->tensors[k].name = info->tensors[k].name;
    x->tensors[k].shape.rank = -1;
    x->tensors[k].queue = &x->queue;
  }
  status = prepare(x, settings, capacity);
  if (status == TP_OK) *instance = x;
  else tp_trt_destroy(x);
  return status;
}

int32_t tp_trt_stage(void *instance, uint32_t k, uint64_t bytes, uint8_t **memory) {
  tp_trt_instance *x = instance;
  void **staging = &x->tensors[k].staging;
  tp_cuda_host_free(x->engine->device, *staging);
  *staging = NULL;
  int32_t status = tp_cuda_host_alloc(x->engine->device, bytes, staging);
  *memory = *staging;
  return status;
}

uint64_t tp_trt_pin_limit(const void *instance) { return ((const tp_trt_instance *)instance)->pinned_bytes; }

int32_t tp_trt_pin(void *instance, void *memory, uint64_t bytes, void **pin) {
  return tp_cuda_pin(((tp_trt_instance *)instance)->engine->device, memory, bytes, pin);
}

void tp_trt_destroy(void *instance) {
  tp_trt_instance *x = instance;
  tp_cuda_device *device = x->engine->device;
  (void)device->cuda->context_set(device->context);
  if (x->queue.device != NULL) (void)device->cuda->stream_wait(x->queue.stream);
  tp_trt_graphs_destroy(x);
  tp_trt_delete(x->context);
  for (uint32_t k = 0; x->queue.device != NULL && k < TP_MAX_TENSORS; k++)
    tp_cuda_memory_free(&x->queue, &x->tensors[k].memory);
  tp_cuda_queue_close(&x->queue);
  for (uint32_t k = 0; k < TP_MAX_TENSORS; k++) tp_cuda_host_free(device, x->tensors[k].staging);
  tp_free(x);
}
