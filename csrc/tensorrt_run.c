/* Running one batch: to the device, through the context, and back, all in the order of one stream. */
#include <string.h>

#include "memory.h"
#include "model_info.h"
#include "status.h"
#include "tensorrt_instance.h"
#include "tensorrt_logger.h"

/* The full shape of tensor k in this run. */
static tp_trt_dims full_shape(const tp_trt_instance *x, const tp_run *run, uint32_t k) {
  tp_trt_dims shape = {0};
  int32_t before = x->info->batching == TP_BATCHING_NONE ? 0 : 1;
  shape.rank = before + run->rank[k];
  shape.dims[0] = run->run_rows;
  memcpy(shape.dims + before, run->dims[k], (size_t)run->rank[k] * sizeof shape.dims[0]);
  return shape;
}

/* An input from where its rows lie: one copy for each piece. What is padded is zero on the device too. */
static int32_t send(const tp_trt_instance *x, const tp_run *run, uint32_t k) {
  const tp_cuda *cuda = x->queue.device->cuda;
  CUdeviceptr to = x->tensors[k].memory.at;
  uint64_t item = run->item_bytes[k], bytes = item * run->run_rows;
  if (bytes == 0) return TP_OK;
  if (run->device_rows[k] != NULL) return tp_trt_send_rows(x, run, k);
  int error = 0;
  if (run->pieces[k] == 0) error = cuda->to_device(to, run->data[k], bytes, x->queue.stream);
  for (uint32_t i = 0; error == 0 && i < run->pieces[k]; i++) {
    const tp_piece *piece = &run->piece[k][i];
    error = cuda->to_device(to, piece->data, piece->rows * item, x->queue.stream);
    to += piece->rows * item;
  }
  if (error == 0 && run->pieces[k] > 0 && run->run_rows > run->rows)
    error = cuda->memory_fill(to, 0, (run->run_rows - run->rows) * item, x->queue.stream);
  return tp_cuda_check(x->queue.device, error, TP_ERR_EXECUTION, "cannot copy an input to the device");
}

static int32_t send_input(tp_trt_instance *x, const tp_run *run, uint32_t k) {
  tp_trt_dims shape = full_shape(x, run, k);
  int32_t status = tp_trt_set_shape(x, k, &shape);
  if (status == TP_OK) status = tp_trt_place(x, k, run->item_bytes[k] * run->run_rows);
  return status == TP_OK ? send(x, run, k) : status;
}

/* An output whose item shape the model states must have it, for as many rows as the batch has. */
static int32_t check_shape(const tp_trt_instance *x, const tp_run *run, uint32_t k,
                           const tp_trt_dims *shape) {
  int32_t status = tp_check_rows(x->info, k, run->run_rows, shape->rank, shape->dims);
  if (status != TP_OK) return status;
  tp_trt_dims expected = full_shape(x, run, k);
  if (shape->rank == expected.rank &&
      memcmp(shape->dims, expected.dims, (size_t)expected.rank * sizeof shape->dims[0]) == 0)
    return TP_OK;
  return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": its shape is not the one that the model says",
                 x->tensors[k].name);
}

/* An output that was given no place: its shape is told in run->native[k], with host memory for it unless it
 * stays on the device. */
static int32_t own_output(const tp_trt_instance *x, tp_run *run, uint32_t k, const tp_trt_dims *shape,
                          uint64_t *bytes) {
  tp_native_output *output = &run->native[k];
  if (!tp_trt_shape_bytes(x->info, k, shape, bytes) || *bytes > SIZE_MAX / 2) {
    return tp_fail(TP_ERR_EXECUTION, "cannot use output \"%.200s\": TensorRT does not say its shape",
                   x->tensors[k].name);
  }
  output->rank = shape->rank;
  memcpy(output->dims, shape->dims, sizeof output->dims);
  if (x->device_outputs) return x->info->tensors[k].fixed ? check_shape(x, run, k, shape) : TP_OK;
  output->data = tp_alloc_staging((size_t)*bytes);
  output->owner = output->data;
  return output->data != NULL ? TP_OK : TP_ERR_MEMORY;
}

/* Before the run: where an output goes on the device, and on the host where that is known already. */
static int32_t place_output(tp_trt_instance *x, tp_run *run, uint32_t k, bool changed) {
  tp_trt_tensor *tensor = &x->tensors[k];
  if (tensor->late) {
    tensor->shape.rank = -1;
    tensor->refused = TP_OK;
    return TP_OK;
  }
  if (run->data[k] != NULL && !changed) return tp_trt_place(x, k, run->item_bytes[k] * run->run_rows);
  tp_trt_dims shape = TRT(x->engine->trt, context_shape, x->context, tensor->name);
  uint64_t bytes;
  int32_t status =
      run->data[k] != NULL ? check_shape(x, run, k, &shape) : own_output(x, run, k, &shape, &bytes);
  if (status == TP_OK && run->data[k] != NULL) bytes = run->item_bytes[k] * run->run_rows;
  return status == TP_OK ? tp_trt_place(x, k, bytes) : status;
}

/* `bytes` of an output from `from` on. */
static int32_t fetch(const tp_trt_instance *x, uint32_t k, uint64_t from, uint8_t *to, uint64_t bytes) {
  if (bytes == 0) return TP_OK;
  int error = x->queue.device->cuda->to_host(to, x->tensors[k].memory.at + from, bytes, x->queue.stream);
  return tp_cuda_check(x->queue.device, error, TP_ERR_EXECUTION, "cannot copy an output from the device");
}

/* An output that was given no place, to where it stays. */
static int32_t fetch_native(const tp_trt_instance *x, tp_run *run, uint32_t k, uint64_t bytes) {
  if (x->device_outputs) return tp_trt_keep_output(x, run, k, bytes);
  return fetch(x, k, 0, run->native[k].data, bytes);
}

/* The rows that were asked for, to where they belong: one copy for each piece. */
static int32_t fetch_rows(const tp_trt_instance *x, const tp_run *run, uint32_t k) {
  uint64_t item = run->item_bytes[k], at = 0;
  if (run->pieces[k] == 0) return fetch(x, k, 0, run->data[k], item * run->rows);
  int32_t status = TP_OK;
  for (uint32_t i = 0; status == TP_OK && i < run->pieces[k]; i++) {
    const tp_piece *piece = &run->piece[k][i];
    status = fetch(x, k, at, piece->data, piece->rows * item);
    at += piece->rows * item;
  }
  return status;
}

static int32_t fetch_output(const tp_trt_instance *x, tp_run *run, uint32_t k) {
  if (x->tensors[k].late) return TP_OK;
  if (run->data[k] != NULL) return fetch_rows(x, run, k);
  uint64_t bytes = 0;
  tp_item_bytes(x->info->tensors[k].dtype, run->native[k].rank, run->native[k].dims, &bytes);
  return fetch_native(x, run, k, bytes);
}

/* After the run: an output whose size is known only now. */
static int32_t fetch_late(tp_trt_instance *x, tp_run *run, uint32_t k) {
  const tp_trt_dims *shape = &x->tensors[k].shape;
  if (run->data[k] != NULL) {
    int32_t status = check_shape(x, run, k, shape);
    return status == TP_OK ? fetch_rows(x, run, k) : status;
  }
  uint64_t bytes;
  int32_t status = own_output(x, run, k, shape, &bytes);
  return status == TP_OK ? fetch_native(x, run, k, bytes) : status;
}

/* The last error is the reason already where an output could not be placed: TensorRT says less of it. */
static int32_t enqueue(tp_trt_instance *x) {
  static const char doing[] = "TensorRT failed the batch";
  if (TRT(x->engine->trt, context_enqueue, x->context, x->queue.stream)) return TP_OK;
  int32_t status = TP_OK;
  for (uint32_t k = x->info->inputs; status == TP_OK && k < x->info->inputs + x->info->outputs; k++)
    status = x->tensors[k].refused;
  if (status == TP_OK) status = tp_trt_fail(TP_ERR_EXECUTION, doing);
  /* TensorRT does not say whether the device is lost; the stream does. */
  int error = x->queue.device->cuda->stream_wait(x->queue.stream);
  return error == 0 ? status : tp_cuda_check(x->queue.device, error, TP_ERR_EXECUTION, doing);
}

/* The batch as its graph: copies in, one launch, copies out. */
static int32_t run_graph(const tp_trt_instance *x, tp_run *run, CUgraphExec ready) {
  const tp_model_info *info = x->info;
  const tp_cuda *cuda = x->queue.device->cuda;
  int32_t status = TP_OK;
  for (uint32_t k = 0; status == TP_OK && k < info->inputs; k++) status = send(x, run, k);
  if (status == TP_OK) {
    status = tp_cuda_check(x->queue.device, cuda->graph_launch(ready, x->queue.stream), TP_ERR_EXECUTION,
                           "cannot launch a batch's graph");
  }
  for (uint32_t k = info->inputs; status == TP_OK && k < info->inputs + info->outputs; k++) {
    uint64_t bytes;
    tp_trt_dims shape = full_shape(x, run, k);
    if (x->device_outputs) status = own_output(x, run, k, &shape, &bytes);
    if (status == TP_OK) status = fetch_output(x, run, k);
  }
  return status == TP_OK ? tp_cuda_queue_wait(&x->queue, "the device failed the batch") : status;
}

/* The batch's graph, if all outputs have their places or stay on the device. */
static CUgraphExec graph_of(const tp_trt_instance *x, const tp_run *run) {
  if (x->graphs == NULL || run->run_rows > x->graph_rows) return NULL;
  for (uint32_t k = x->info->inputs; k < x->info->inputs + x->info->outputs; k++) {
    if (run->data[k] == NULL && !x->device_outputs) return NULL;
  }
  return x->graphs[run->run_rows].ready;
}

static int32_t run_outputs(tp_trt_instance *x, tp_run *run, bool changed) {
  const tp_model_info *info = x->info;
  uint32_t first = info->inputs, end = first + info->outputs;
  bool late = false;
  int32_t status = TP_OK;
  for (uint32_t k = first; status == TP_OK && k < end; k++) status = place_output(x, run, k, changed);
  if (status == TP_OK) status = enqueue(x);
  for (uint32_t k = first; status == TP_OK && k < end; k++) {
    status = fetch_output(x, run, k);
    late = late || x->tensors[k].late;
  }
  if (status == TP_OK) status = tp_cuda_queue_wait(&x->queue, "the device failed the batch");
  for (uint32_t k = first; late && status == TP_OK && k < end; k++) {
    if (x->tensors[k].late) status = fetch_late(x, run, k);
  }
  if (late && status == TP_OK) status = tp_cuda_queue_wait(&x->queue, "the device failed the batch");
  return status;
}

int32_t tp_trt_run(void *instance, tp_run *run) {
  tp_trt_instance *x = instance;
  const tp_model_info *info = x->info;
  int32_t status = tp_cuda_enter(x->queue.device);
  if (status != TP_OK) return status;
  tp_trt_listen();
  for (uint32_t k = info->inputs; k < info->inputs + info->outputs; k++)
    run->native[k] = (tp_native_output){0};
  CUgraphExec graph = graph_of(x, run);
  if (graph != NULL) status = run_graph(x, run, graph);
  for (uint32_t k = 0; graph == NULL && status == TP_OK && k < info->inputs; k++)
    status = send_input(x, run, k);
  bool changed = !x->shapes_known;
  if (graph == NULL && status == TP_OK) status = tp_trt_infer_shapes(x);
  if (graph == NULL && status == TP_OK) status = run_outputs(x, run, changed);
  if (status == TP_OK) return TP_OK;
  /* Nothing may go on writing to the batch's memory, no output is left behind, shapes are checked anew. */
  x->shapes_known = false;
  (void)x->queue.device->cuda->stream_wait(x->queue.stream);
  tp_trt_drop_outputs(x, run);
  return status;
}
