#include "echo.h"

#include <string.h>

#include "dtype.h"
#include "memory.h"
#include "model_info.h"
#include "status.h"

static int32_t read_dtype(const tp_options *options, const char *key, int32_t fallback, int32_t *dtype) {
  uint32_t number;
  int32_t status = tp_options_number(options, key, 0, UINT16_MAX, (uint32_t)fallback, &number);
  if (status != TP_OK) return status;
  *dtype = (int32_t)number;
  if (tp_dtype_bytes(*dtype) > 0) return TP_OK;
  return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"%s\": %d (%s) is not an element type of trtpipe", key,
                 *dtype, tp_dtype_name(*dtype));
}

static int32_t read_tensor(const tp_options *options, const char *dtype_key, const char *shape_key,
                           tp_tensor_spec *tensor) {
  int32_t status = read_dtype(options, dtype_key, tensor->dtype, &tensor->dtype);
  if (status != TP_OK) return status;
  return tp_options_shape(options, shape_key, TP_MAX_RANK - 1, &tensor->rank, tensor->dims);
}

static int32_t read_tensors(const tp_options *options, tp_tensor_spec *input, tp_tensor_spec *output) {
  input->dtype = TP_F32;
  int32_t status = read_tensor(options, "dtype", "shape", input);
  if (status != TP_OK) return status;
  output->dtype = input->dtype;
  output->rank = input->rank;
  memcpy(output->dims, input->dims, sizeof output->dims);
  status = read_tensor(options, "output_dtype", "output_shape", output);
  if (status != TP_OK || tp_options_get(options, "output_shape") == NULL) return status;
  for (int32_t d = 0; d < output->rank; d++) {
    if (output->dims[d] < 0) {
      return tp_fail(TP_ERR_ARGUMENT,
                     "cannot use option \"output_shape\": only \"shape\" may have open dimensions");
    }
  }
  return TP_OK;
}

/* Rows are what these backends take any number of. */
static void add_batch_dimension(tp_tensor_spec *tensor) {
  memmove(tensor->dims + 1, tensor->dims, (size_t)tensor->rank * sizeof tensor->dims[0]);
  tensor->dims[0] = -1;
  tensor->rank++;
}

int32_t tp_echo_open(const tp_options *options, const char *engine, tp_model_info *info) {
  int32_t status = read_tensors(options, &info->tensors[0], &info->tensors[1]);
  if (status != TP_OK) return status;
  info->inputs = info->outputs = 1;
  info->engine = tp_copy(engine, strlen(engine));
  info->library = tp_copy("", 0);
  info->tensors[0].name = tp_copy("input", 5);
  info->tensors[1].name = tp_copy("output", 6);
  if (!info->engine || !info->library || !info->tensors[0].name || !info->tensors[1].name)
    return TP_ERR_MEMORY;
  add_batch_dimension(&info->tensors[0]);
  add_batch_dimension(&info->tensors[1]);
  return tp_model_info_finish(info);
}

/* Shapes that follow the input's have the output's own element size. */
uint64_t tp_echo_output_bytes(const tp_model_info *info, const tp_run *run) {
  const tp_tensor_spec *output = &info->tensors[1];
  if (output->fixed) return output->item_bytes;
  return run->item_bytes[0] / tp_dtype_bytes(info->tensors[0].dtype) * tp_dtype_bytes(output->dtype);
}

int32_t tp_echo_place(const tp_model_info *info, tp_run *run, uint8_t **to) {
  *to = run->data[1];
  if (*to != NULL) return TP_OK;
  uint64_t bytes;
  if (!tp_multiply(tp_echo_output_bytes(info, run), run->run_rows, &bytes) || bytes > SIZE_MAX / 2) {
    return tp_fail(TP_ERR_MEMORY, "cannot get memory for an output of %u rows", run->run_rows);
  }
  tp_native_output *native = &run->native[1];
  native->data = tp_alloc_staging((size_t)bytes);
  if (native->data == NULL) return TP_ERR_MEMORY;
  native->owner = native->data;
  const tp_tensor_spec *shape = &info->tensors[info->tensors[1].fixed ? 1 : 0];
  const int64_t *dims = info->tensors[1].fixed ? shape->dims : run->dims[0];
  native->rank = shape->rank + 1;
  native->dims[0] = run->run_rows;
  memcpy(native->dims + 1, dims, (size_t)shape->rank * sizeof dims[0]);
  *to = native->data;
  return TP_OK;
}

void tp_echo_rows(const tp_model_info *info, const tp_run *run, uint32_t first, uint32_t rows, uint8_t *to) {
  uint64_t in = run->item_bytes[0], out = tp_echo_output_bytes(info, run);
  const uint8_t *from = run->data[0] + first * in;
  to += first * out;
  if (in == out) {
    /* Lanes of a layout may overlap: nonsense, but the caller's own. */
    if (in > 0) memmove(to, from, rows * in);
    return;
  }
  uint64_t shared = in < out ? in : out;
  for (uint32_t row = 0; row < rows; row++) {
    if (shared > 0) memmove(to + row * out, from + row * in, shared);
    if (out > shared) memset(to + row * out + shared, 0, out - shared);
  }
}

void tp_echo_release(void *owner) { tp_free(owner); }
