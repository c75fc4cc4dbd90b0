/* Outputs whose size only their data decide: TensorRT asks for their memory while it runs. */
#include "status.h"
#include "tensorrt_instance.h"
#include "tensorrt_logger.h"
#include "tensorrt_object.h"

static tp_trt_interface interface_info(const void *self) {
  (void)self;
  return (tp_trt_interface){"IOutputAllocator", 1, 0};
}

/* Called by TensorRT on the thread that runs the instance, so the last error is that thread's. NULL makes the
 * run fail. TensorRT asks for the alignment of the device's textures, 512 bytes on all so far. */
static void *reallocate(void *self, const char *name, void *current, uint64_t bytes, uint64_t alignment,
                        CUstream stream) {
  (void)name;
  (void)current;
  (void)stream;
  tp_trt_tensor *tensor = self;
  tensor->refused = tp_cuda_memory_fit(tensor->queue, &tensor->memory, bytes, alignment);
  return tensor->refused == TP_OK ? (void *)(uintptr_t)tensor->memory.at : NULL;
}

static void *reallocate_now(void *self, const char *name, void *current, uint64_t bytes, uint64_t alignment) {
  return reallocate(self, name, current, bytes, alignment, NULL);
}

static void notify(void *self, const char *name, const tp_trt_dims *dims) {
  (void)name;
  ((tp_trt_tensor *)self)->shape = *dims;
}

static tp_trt_table table = {.slots = {(tp_function)tp_trt_language, (tp_function)interface_info,
                                       (tp_function)tp_trt_no_destructor, (tp_function)tp_trt_no_destructor,
                                       (tp_function)reallocate_now, (tp_function)reallocate,
                                       (tp_function)notify}};

int32_t tp_trt_output_late(tp_trt_instance *x, uint32_t k) {
  tp_trt_tensor *tensor = &x->tensors[k];
  tensor->slots = table.slots;
  tensor->late = true;
  if (TRT(x->engine->trt, context_set_output_allocator, x->context, tensor->name, tensor)) return TP_OK;
  return tp_trt_fail(TP_ERR_UNSUPPORTED, "TensorRT refused to let an output's size depend on its data");
}
