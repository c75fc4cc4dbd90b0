/* One instance: an execution context with a stream and device memory of its own. */
#ifndef TP_TENSORRT_INSTANCE_H
#define TP_TENSORRT_INSTANCE_H

#include "tensorrt_engine.h"
#include "tensorrt_settings.h"

/* An input or output of an instance. */
typedef struct tp_trt_tensor {
  /* First: the object that TensorRT calls to place an output whose size only its data decide. */
  const tp_function *slots;
  const char *name;
  void *staging; /* pinned host memory; NULL: none */
  tp_cuda_memory memory;
  CUdeviceptr bound; /* the address that the context has */
  tp_trt_dims shape; /* inputs: as the context has it; outputs that are `late`: as the last run left it */
  bool late;         /* an output whose size only its data decide */
  int32_t refused;   /* why it could not be placed while this run went on */
  const tp_cuda_queue *queue;
} tp_trt_tensor;

/* Runs of one batch size, captured once and launched as a whole: see tensorrt_graph.c. */
typedef struct tp_trt_graph {
  void *context; /* of its own: a graph goes on using what its context holds */
  CUgraphExec ready;
} tp_trt_graph;

typedef struct tp_trt_instance {
  const tp_trt_engine *engine;
  const tp_model_info *info;
  void *context;
  tp_cuda_queue queue;
  uint64_t pinned_bytes; /* of each caller's memory that may be pinned */
  bool device_outputs;   /* outputs stay on the device, in memory of their own */
  bool shapes_known;     /* the context has inferred all shapes from those of the inputs */
  tp_trt_tensor tensors[TP_MAX_TENSORS];
  tp_trt_graph *graphs; /* [rows], rows 0..graph_rows; NULL: batches are enqueued */
  uint32_t graph_rows;
  tp_cuda_memory scratch; /* shared by the graphs' contexts, which never run at the same time */
} tp_trt_instance;

int32_t tp_trt_instance_create(const tp_trt_engine *engine, const tp_model_info *info,
                               const tp_trt_settings *settings, uint32_t capacity, void **instance);

/*
 * Captures a graph for each batch size of up to `capacity` rows, where all sizes are known and the engine can
 * be captured; else there are none, which is no failure. Errors: DEVICE, MEMORY.
 */
int32_t tp_trt_graphs_create(tp_trt_instance *instance, uint32_t capacity);
void tp_trt_graphs_destroy(tp_trt_instance *instance);

/* Lets TensorRT place the output through us. */
int32_t tp_trt_output_late(tp_trt_instance *instance, uint32_t k);

/* Elements' bytes of a full shape; false if a dimension is open or the product overflows. */
bool tp_trt_shape_bytes(const tp_model_info *info, uint32_t k, const tp_trt_dims *shape, uint64_t *bytes);

/* Gives the context an input's shape, if it has another. Errors: EXECUTION. */
int32_t tp_trt_set_shape(tp_trt_instance *instance, uint32_t k, const tp_trt_dims *shape);

/* Infers all shapes, if an input's has changed. Errors: EXECUTION. */
int32_t tp_trt_infer_shapes(tp_trt_instance *instance);

/* Device memory of that size for a tensor, known to the context. Errors: MEMORY, EXECUTION, DEVICE. */
int32_t tp_trt_place(tp_trt_instance *instance, uint32_t k, uint64_t bytes);

/* Input k of a batch in which some rows are on a device already: each comes from where it is. Errors:
   EXECUTION, DEVICE. */
int32_t tp_trt_send_rows(const tp_trt_instance *instance, const tp_run *run, uint32_t k);

/* After the run, an output of so many bytes that stays on the device: copied out of the way of the next run,
 * in the order of the stream, into a block of its own that is told in run->native[k]. Errors: MEMORY,
 * EXECUTION, DEVICE. */
int32_t tp_trt_keep_output(const tp_trt_instance *instance, tp_run *run, uint32_t k, uint64_t bytes);

/* Releases what a run that failed has for outputs already. */
void tp_trt_drop_outputs(const tp_trt_instance *instance, tp_run *run);

/* The functions of tp_backend. */
struct tp_cuda_device *tp_trt_device(const void *instance, bool *device_outputs);
int32_t tp_trt_stage(void *instance, uint32_t k, uint64_t bytes, uint8_t **memory);
uint64_t tp_trt_pin_limit(const void *instance);
int32_t tp_trt_pin(void *instance, void *memory, uint64_t bytes, void **pin);
int32_t tp_trt_run(void *instance, tp_run *run);
void tp_trt_destroy(void *instance);

#endif
