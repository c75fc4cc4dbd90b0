/*
 * Batches as CUDA graphs: what TensorRT enqueues for a batch of one size is captured once, and launched as a
 * whole from then on. A small model's batch is dozens of kernels, and launching them one by one takes longer
 * than they run.
 *
 * A graph fixes shapes and addresses, and goes on using what its context holds. So each size has a context of
 * its own; their scratch memory is one, because an instance runs one batch at a time.
 */
#include "memory.h"
#include "status.h"
#include "tensorrt_instance.h"
#include "tensorrt_logger.h"
#include "tensorrt_object.h"

/* Of the memory that contexts share: that of the device's textures, 512 bytes on all so far. */
#define SCRATCH_ALIGNMENT 512u

/* More sizes would cost more memory and time than they save. */
#define ROWS_MAX 32u

/* Whether every size of every batch is known beforehand. */
static bool all_known(const tp_trt_instance *x, uint32_t capacity) {
  const tp_trt *trt = x->engine->trt;
  if (trt->slots[TP_TRT_engine_scratch] < 0 || trt->slots[TP_TRT_context_set_scratch] < 0) return false;
  for (uint32_t k = 0; k < x->info->inputs + x->info->outputs; k++) {
    if (!x->info->tensors[k].fixed || x->tensors[k].late) return false;
  }
  return capacity <= ROWS_MAX;
}

/* The shape of input k in a batch of `rows`. */
static tp_trt_dims shape_of(const tp_trt_instance *x, uint32_t k, uint32_t rows) {
  tp_trt_dims shape = tp_trt_engine_largest(x->engine, x->tensors[k].name);
  if (x->info->batching == TP_BATCHING_DYNAMIC && shape.rank > 0) shape.dims[0] = rows;
  return shape;
}

/* Whether the context, which has no memory of its own, is ready for batches of `rows`. */
static bool set_up(const tp_trt_instance *x, void *context, uint32_t rows) {
  const tp_trt *trt = x->engine->trt;
  TRT(trt, context_set_scratch, context, (void *)(uintptr_t)x->scratch.at, (int64_t)x->scratch.bytes);
  if (TRT0(trt, context_profile, context) != 0 && !TRT(trt, context_set_profile, context, 0, x->queue.stream))
    return false;
  for (uint32_t k = 0; k < x->info->inputs + x->info->outputs; k++) {
    void *address = (void *)(uintptr_t)x->tensors[k].memory.at;
    if (!TRT(trt, context_set_address, context, x->tensors[k].name, address)) return false;
    if (k >= x->info->inputs) continue;
    tp_trt_dims shape = shape_of(x, k, rows);
    if (!TRT(trt, context_set_shape, context, x->tensors[k].name, &shape)) return false;
  }
  const char *missing = NULL;
  return TRT(trt, context_infer_shapes, context, 1, &missing) == 0;
}

/* Enqueues once as it is, because the first time may take memory or load kernels, and once to be captured. */
static bool capture(const tp_trt_instance *x, tp_trt_graph *graph) {
  const tp_trt *trt = x->engine->trt;
  const tp_cuda *cuda = x->queue.device->cuda;
  CUstream stream = x->queue.stream;
  CUgraph captured = NULL;
  if (trt->slots[TP_TRT_context_capturable] >= 0 && !TRT(trt, context_capturable, graph->context, stream))
    return false;
  if (!TRT(trt, context_enqueue, graph->context, stream) || cuda->stream_wait(stream) != 0) return false;
  if (cuda->capture_begin(stream, CU_CAPTURE_THREAD_LOCAL) != 0) return false;
  bool enqueued = TRT(trt, context_enqueue, graph->context, stream);
  bool ended = cuda->capture_end(stream, &captured) == 0 && captured != NULL;
  bool ready = enqueued && ended && cuda->graph_prepare(&graph->ready, captured, 0) == 0;
  if (!ready) graph->ready = NULL;
  if (ended) (void)cuda->graph_drop(captured);
  return ready;
}

static bool create(tp_trt_instance *x, uint32_t rows) {
  static const char doing[] = "TensorRT could not create a context for a graph";
  const tp_trt_engine *e = x->engine;
  tp_trt_graph *graph = &x->graphs[rows];
  tp_trt_listen();
  void *made = TRT(e->trt, engine_create_context, e->engine, TRT_STRATEGY_USER_MANAGED);
  graph->context = tp_trt_object(made, TP_TRT_CLASS_CONTEXT, TP_ERR_MEMORY, doing);
  return graph->context != NULL && set_up(x, graph->context, rows) && capture(x, graph);
}

/* The fewest rows that the engine takes; all have `capacity` where the batch is fixed. */
static uint32_t fewest_rows(const tp_trt_instance *x, uint32_t capacity) {
  if (x->info->batching != TP_BATCHING_DYNAMIC) return capacity;
  tp_trt_dims least =
      TRT(x->engine->trt, engine_profile_shape, x->engine->engine, x->tensors[0].name, 0, TRT_SELECT_MIN);
  return least.rank > 0 && least.dims[0] > 1 ? (uint32_t)least.dims[0] : 1;
}

int32_t tp_trt_graphs_create(tp_trt_instance *x, uint32_t capacity) {
  if (!all_known(x, capacity)) return TP_OK;
  int64_t scratch = TRT0(x->engine->trt, engine_scratch, x->engine->engine);
  int32_t status =
      tp_cuda_memory_fit(&x->queue, &x->scratch, scratch > 0 ? (uint64_t)scratch : 1, SCRATCH_ALIGNMENT);
  if (status != TP_OK) return status;
  x->graph_rows = capacity;
  x->graphs = tp_alloc((capacity + 1) * sizeof *x->graphs);
  if (x->graphs == NULL) return TP_ERR_MEMORY;
  bool captured = true;
  for (uint32_t rows = fewest_rows(x, capacity); captured && rows <= capacity; rows++)
    captured = create(x, rows);
  /* What failed shows in the stream if it is the device. */
  int error = x->queue.device->cuda->stream_wait(x->queue.stream);
  if (error != 0)
    return tp_cuda_check(x->queue.device, error, TP_ERR_MEMORY, "cannot capture a batch's graph");
  if (!captured) tp_trt_graphs_destroy(x);
  return TP_OK;
}

void tp_trt_graphs_destroy(tp_trt_instance *x) {
  if (x->queue.device == NULL) return;
  for (uint32_t rows = 0; x->graphs != NULL && rows <= x->graph_rows; rows++) {
    if (x->graphs[rows].ready != NULL) (void)x->queue.device->cuda->graph_end(x->graphs[rows].ready);
    tp_trt_delete(x->graphs[rows].context);
  }
  tp_free(x->graphs);
  x->graphs = NULL;
  tp_cuda_memory_free(&x->queue, &x->scratch);
}
