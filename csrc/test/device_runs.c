/* Batches of TensorrtTensor whose rows are in device memory, and outputs that stay there. */
#include <pthread.h>

#include "device_fixture.h"

/* What is bound beside a fixture: one record for the only input, behind the tensors of each slot. */
enum { REF_BYTES = sizeof(tp_device_ref) };

typedef struct device_fixture {
  fixture f;
  uint64_t refs; /* offset of the records */
  uint8_t *payload;
} device_fixture;

/* Instance of a model that negates rows of `columns` floats; host outputs have `stride` bytes in a slot. */
static device_fixture make(const char *options, uint32_t min_rows, int64_t columns, uint64_t stride) {
  onnx_writer w = negation(columns);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_trt(options, w.model.data, w.model.length, &model));
  onnx_free(&w);
  uint64_t strides[2] = {(uint64_t)columns * 4, stride};
  device_fixture d = {.f = make_fixture(model, 4, min_rows, 2, strides)};
  d.refs = d.f.payload_bytes;
  uint64_t bytes = d.refs + FIXTURE_SLOTS * REF_BYTES;
  CHECK_EQUAL(0, posix_memalign((void **)&d.payload, 64, bytes));
  memset(d.payload, 0, bytes);
  CHECK_EQUAL(TP_OK, tp_instance_bind_device_rows(d.f.instance, d.refs, REF_BYTES));
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(d.f.instance, 0, d.payload, bytes, FIXTURE_SLOTS));
  d.f.batch->flags = TP_BATCH_CLAIM;
  return d;
}

static void finish(device_fixture *d) {
  end_fixture(&d->f);
  free(d->payload);
  CHECK_EQUAL(TP_OK, tp_model_close(d->f.model));
  check_devices_empty();
}

static float *floats(const device_fixture *d, uint32_t slot, uint32_t k) {
  return (float *)(void *)(d->payload + d->f.offsets[k] + slot * d->f.strides[k]);
}

/* Row `row` of the batch lies in its slot, or is a row of a tensor. */
static void put(const device_fixture *d, uint32_t row, uint32_t slot, uint32_t tensor, uint32_t tensor_row) {
  /* Not the whole record: that would take its result over. */
  row_of(&d->f, row)->channel = 0;
  row_of(&d->f, row)->slot = slot;
  ((tp_device_ref *)(void *)(d->payload + d->refs))[slot] = (tp_device_ref){tensor, tensor_row};
}

static void put_host(const device_fixture *d, uint32_t row, uint32_t slot, uint32_t columns, float first) {
  put(d, row, slot, 0, 0);
  for (uint32_t i = 0; i < columns; i++) floats(d, slot, 0)[i] = first + (float)i;
}

static void check_host(const device_fixture *d, uint32_t slot, uint32_t columns, float first) {
  for (uint32_t i = 0; i < columns; i++) {
    if (floats(d, slot, 1)[i] != -(first + (float)i))
      FAIL("slot %u, element %u: %g", slot, i, (double)floats(d, slot, 1)[i]);
  }
}

/* Rows from hosts and tensors in any order; the instance is on device 0, the other's are copied over. */
static void mixed(const char *options, uint32_t min_rows) {
  device_fixture d = make(options, min_rows, 3, 12);
  open_device(1);
  uint32_t many = make_floats(0, 9, 100), other = make_floats(1, 6, 200);
  for (uint32_t round = 0; round < 24; round++) {
    uint32_t rows = 1 + round % 4;
    float expected[4];
    for (uint32_t row = 0; row < rows; row++) {
      uint32_t slot = 2 * row + 1, kind = (round + row) % 3;
      if (kind == 0) put_host(&d, row, slot, 3, expected[row] = (float)(10 * row));
      else if (kind == 1) put(&d, row, slot, many, row % 3), expected[row] = (float)(100 + 3 * (row % 3));
      else put(&d, row, slot, other, row % 2), expected[row] = (float)(200 + 3 * (row % 2));
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, rows));
    for (uint32_t row = 0; row < rows; row++) check_host(&d, 2 * row + 1, 3, expected[row]);
  }
  CHECK_EQUAL(1, info_of(many, 3));
  CHECK_EQUAL(TP_OK, tp_device_release(many, 1));
  CHECK_EQUAL(TP_OK, tp_device_release(other, 1));
  finish(&d);
}

/* Tensors that lie side by side are allocations of their own: no copy may span two of them. */
static void neighbours(void) {
  device_fixture d = make("max=4", 1, 4, 16);
  side_by_side(1);
  uint32_t tensors[4];
  for (uint32_t i = 0; i < 4; i++) tensors[i] = make_floats(0, 4, (float)(10 * i));
  side_by_side(0);
  CHECK_EQUAL(info_of(tensors[0], 1) + 16, info_of(tensors[1], 1));
  for (uint32_t row = 0; row < 4; row++) put(&d, row, row, tensors[row], 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 4));
  for (uint32_t row = 0; row < 4; row++) check_host(&d, row, 4, (float)(10 * row));
  for (uint32_t row = 0; row < 4; row++) CHECK_EQUAL(TP_OK, tp_device_release(tensors[row], 1));
  finish(&d);
}

/* A tensor that is gone, of another kind, or too small fails the run in words, and harms nothing. */
static void stale(void) {
  device_fixture d = make("max=4", 1, 3, 12);
  uint32_t good = make_floats(0, 6, 1), gone = make_floats(0, 3, 1);
  CHECK_EQUAL(TP_OK, tp_device_release(gone, 1));
  put(&d, 0, 0, good, 0);
  put(&d, 1, 1, gone, 0);
  CHECK_FAILS(TP_ERR_EXECUTION, "row 1 of input \"x\": its device tensor", tp_instance_run(d.f.instance, 2));
  put(&d, 1, 1, d.f.instance, 0);
  CHECK_FAILS(TP_ERR_EXECUTION, "is gone", tp_instance_run(d.f.instance, 2));
  put(&d, 1, 1, good, 2);
  CHECK_FAILS(TP_ERR_EXECUTION, "has 24 bytes, and items have 12", tp_instance_run(d.f.instance, 2));
  put(&d, 1, 1, good, UINT32_MAX);
  CHECK_EQUAL(TP_ERR_EXECUTION, tp_instance_run(d.f.instance, 2));
  put(&d, 1, 1, good, 1);
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 2));
  check_host(&d, 1, 3, 4);
  CHECK_EQUAL(TP_OK, tp_device_release(good, 1));
  finish(&d);
}

static void binding(void) {
  device_fixture d = make("max=4", 1, 3, 12);
  uint32_t identity = 0, instance = 0;
  CHECK_FAILS(TP_ERR_ARGUMENT, "8 bytes or more", tp_instance_bind_device_rows(d.f.instance, 0, 4));
  CHECK_FAILS(TP_ERR_ARGUMENT, "whole words", tp_instance_bind_device_rows(d.f.instance, 2, 8));
  CHECK_EQUAL(TP_OK, tp_instance_bind_device_rows(d.f.instance, 4096, 8));
  CHECK_FAILS(TP_ERR_ARGUMENT, "of device rows",
              tp_instance_bind_channel(d.f.instance, 0, d.payload, 4096, 1));
  set_row(&d.f, 0, 0, 0);
  CHECK_FAILS(TP_ERR_ARGUMENT, "not bound", tp_instance_run(d.f.instance, 1));
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=4", NULL, 0, &identity));
  CHECK_EQUAL(TP_OK, tp_instance_create(identity, 1, 1, &instance));
  CHECK_FAILS(TP_ERR_ARGUMENT, "no layout", tp_instance_bind_device_rows(instance, 0, 8));
  CHECK_EQUAL(TP_OK, tp_instance_bind_layout(instance, (uint64_t[]){0, 64}, (uint64_t[]){16, 16}, 2));
  CHECK_FAILS(TP_ERR_UNSUPPORTED, "Identity does not run on a CUDA device",
              tp_instance_bind_device_rows(instance, 0, 8));
  CHECK_EQUAL(TP_OK, tp_instance_destroy(instance));
  CHECK_EQUAL(TP_OK, tp_model_close(identity));
  finish(&d);
}

/* Takes over the rows of the last batch as tensors. */
static void claim(const device_fixture *d, uint32_t rows, uint32_t *tensors) {
  uint32_t result = d->f.batch->result;
  CHECK(result != 0);
  CHECK_EQUAL(1, d->f.batch->native_outputs);
  for (uint32_t row = 0; row < rows; row++) {
    CHECK_EQUAL(result, row_of(&d->f, row)->result);
    row_of(&d->f, row)->result = 0;
    CHECK_EQUAL(TP_OK, tp_result_device(result, row, 1, 0, &tensors[row]));
    CHECK_EQUAL(TP_OK, tp_result_release(result));
  }
}

/* Outputs stay, each batch in memory of its own, also after the instance is gone. */
static void outputs(const char *options) {
  device_fixture d = make(options, 1, 3, 0);
  uint32_t in = make_floats(0, 6, 50), first[4], second[4];
  float copy[3];
  for (uint32_t row = 0; row < 3; row++) put_host(&d, row, row, 3, (float)(10 * row));
  put(&d, 3, 3, in, 1);
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 4));
  CHECK_FAILS(TP_ERR_ARGUMENT, "it is on a device", tp_result_copy(d.f.batch->result, 0, 0, copy, 12));
  CHECK_FAILS(TP_ERR_ARGUMENT, "it has 4 rows", tp_result_device(d.f.batch->result, 4, 1, 0, first));
  CHECK_FAILS(TP_ERR_ARGUMENT, "it has 4 rows", tp_result_device(d.f.batch->result, 1, 4, 0, first));
  CHECK_FAILS(TP_ERR_ARGUMENT, "it has 4 rows", tp_result_device(d.f.batch->result, 1, 0, 0, first));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not on a device", tp_result_device(d.f.batch->result, 0, 1, 1, first));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_result_device(d.f.batch->result, 0, 1, 0, NULL));
  uint32_t two = 0;
  CHECK_EQUAL(TP_OK, tp_result_device(d.f.batch->result, 2, 2, 0, &two));
  claim(&d, 4, first);
  CHECK_EQUAL(2, usage_of(0, 0));
  put_host(&d, 0, 0, 3, 7);
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 1));
  claim(&d, 1, second);
  CHECK_EQUAL(3, usage_of(0, 0));
  CHECK_EQUAL(TP_OK, tp_device_release(in, 1));
  end_fixture(&d.f);
  CHECK_EQUAL(TP_OK, tp_model_close(d.f.model));
  for (uint32_t row = 0; row < 3; row++) check_floats(first[row], 3, (float)(10 * row), -1);
  check_floats(first[3], 3, 53, -1);
  check_floats(second[0], 3, 7, -1);
  CHECK_EQUAL(24, info_of(two, 2));
  for (uint32_t row = 0; row < 4; row++) CHECK_EQUAL(TP_OK, tp_device_release(first[row], 1));
  CHECK_EQUAL(2, usage_of(0, 0));
  CHECK_EQUAL(TP_OK, tp_device_release(two, 1));
  CHECK_EQUAL(TP_OK, tp_device_release(second[0], 1));
  free(d.payload);
  check_devices_empty();
}

/* Of a batch that nobody reads, because its thread ended, nothing is left after the next or the last. */
static void unclaimed(void) {
  device_fixture d = make("max=4;output=device", 1, 3, 0);
  uint32_t tensor = 0;
  for (uint32_t round = 0; round < 5; round++) {
    for (uint32_t row = 0; row < 3; row++) put_host(&d, row, row, 3, 0);
    CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 3));
    CHECK_EQUAL(1, usage_of(0, 0));
  }
  /* One row was taken over, and lives on. */
  uint32_t result = d.f.batch->result;
  row_of(&d.f, 1)->result = 0;
  CHECK_EQUAL(TP_ERR_ARGUMENT, tp_instance_run(d.f.instance, 0));
  CHECK_EQUAL(TP_OK, tp_result_device(result, 1, 1, 0, &tensor));
  CHECK_EQUAL(TP_OK, tp_result_release(result));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_result_release(result));
  check_floats(tensor, 3, 0, -1);
  CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
  for (uint32_t row = 0; row < 3; row++) put_host(&d, row, row, 3, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 3));
  finish(&d);
  /* Whoever has not heard of claiming keeps what it has. */
  d = make("max=4;output=device", 1, 3, 0);
  d.f.batch->flags = 0;
  put_host(&d, 0, 0, 3, 0);
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 1));
  result = d.f.batch->result;
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 1));
  CHECK_EQUAL(TP_OK, tp_result_release(result));
  CHECK_EQUAL(TP_OK, tp_result_release(d.f.batch->result));
  finish(&d);
}

/* Whatever fails in a batch, its outputs are not left behind, nor is a tensor held. */
static void failures(void) {
  device_fixture d = make("max=4;output=device", 1, 3, 0);
  uint32_t in = make_floats(0, 6, 1), tensors[4];
  put(&d, 0, 0, in, 0);
  put_host(&d, 1, 1, 3, 20);
  static const char *const calls[] = {"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoDAsync_v2", "cuMemAllocAsync",
                                      "cuEventRecord"};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    fail_cuda(calls[i], 1, i == 2 ? 2 : 1);
    int32_t status = tp_instance_run(d.f.instance, 2);
    CHECK_EQUAL(i == 2 ? TP_ERR_MEMORY : TP_ERR_EXECUTION, status);
    fail_cuda(NULL, 0, 0);
    CHECK_EQUAL(1, usage_of(0, 0));
    CHECK_EQUAL(1, info_of(in, 3));
  }
  CHECK_EQUAL(TP_OK, tp_device_limit(0, 30));
  CHECK_FAILS(TP_ERR_MEMORY, "their limit is 30", tp_instance_run(d.f.instance, 2));
  CHECK_EQUAL(TP_OK, tp_device_limit(0, 0));
  CHECK_EQUAL(TP_OK, tp_instance_run(d.f.instance, 2));
  claim(&d, 2, tensors);
  check_floats(tensors[0], 3, 1, -1);
  check_floats(tensors[1], 3, 20, -1);
  for (int i = 0; i < 2; i++) CHECK_EQUAL(TP_OK, tp_device_release(tensors[i], 1));
  CHECK_EQUAL(TP_OK, tp_device_release(in, 1));
  finish(&d);
}

/* An output whose size only its data decide, kept on the device. */
static void late_output(void) {
  onnx_writer w = {0};
  uint32_t model = 0, tensor = 0;
  onnx_input(&w, "x", TP_F32, 2, (int64_t[]){-1, 2});
  onnx_node(&w, "NonZero", "x", "y");
  onnx_output(&w, "y", TP_F32, 2, (int64_t[]){-1, -1});
  onnx_finish(&w);
  CHECK_EQUAL(TP_OK, open_trt("max=4;output=device", w.model.data, w.model.length, &model));
  onnx_free(&w);
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){8, 0});
  for (int32_t size = 1; size <= 5; size++) {
    for (uint32_t row = 0; row < 2; row++) {
      set_row(&f, row, 1, row);
      ((float *)slot_data(&f, 1, row, 0))[0] = (float)size;
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 2));
    CHECK_EQUAL(size, f.batch->dims[1][0]);
    CHECK_EQUAL(TP_OK, tp_result_device(f.batch->result, 0, 2, 0, &tensor));
    for (int i = 0; i < 2; i++) CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    CHECK_EQUAL(8 * size, info_of(tensor, 2));
    float value = 0;
    CHECK_EQUAL(TP_OK, tp_device_read(tensor, 8 * (uint64_t)size - 4, &value, 4));
    CHECK(value == (float)size);
    CHECK_EQUAL(TP_OK, tp_device_release(tensor, 1));
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_devices_empty();
}

int main(void) {
  need_fakes();
  mixed("max=4", 1);
  mixed("max=4;min=3", 3);
  mixed("max=4;cuda_graph=1", 1);
  neighbours();
  stale();
  binding();
  outputs("max=4;output=device");
  outputs("max=4;output=device;cuda_graph=1");
  unclaimed();
  failures();
  late_output();
  return 0;
}
