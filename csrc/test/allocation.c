/*
 * The n-th request for memory fails, for every n until all goes well: each failure is told as such, leaves
 * nothing behind, and the same call works afterwards.
 */
#include "../memory.h"

#include "process_fixture.h"

typedef int32_t (*scenario)(void);

static onnx_writer negation;

/* Opens, creates, runs and gives everything back; the status of what failed. */
static int32_t use_model(const char *options, const void *data, size_t length, uint64_t room, int32_t dim) {
  uint32_t model = 0, instance = 0, watch = 0;
  static uint64_t payload[64];
  static union {
    tp_batch batch;
    uint8_t bytes[sizeof(tp_batch) + 4 * sizeof(tp_row)];
  } block;
  memset(&block, 0, sizeof block);
  block.batch.flags = TP_BATCH_DIMS;
  block.batch.dims[0][0] = dim;
  int32_t status =
      data != NULL ? open_onnx(options, data, length, &model) : open_model(options, NULL, 0, &model);
  if (status != TP_OK) return status;
  status = tp_instance_create(model, 4, 2, &instance);
  if (status == TP_OK) {
    CHECK_EQUAL(TP_OK, tp_instance_bind_layout(instance, (uint64_t[]){0, 256}, (uint64_t[]){16, room}, 2));
    CHECK_EQUAL(TP_OK, tp_instance_bind_channel(instance, 0, payload, sizeof payload, 4));
    CHECK_EQUAL(TP_OK, tp_instance_bind_batch(instance, &block, sizeof block));
    for (uint32_t rows = 1; status == TP_OK && rows <= 4; rows++) {
      status = tp_instance_run(instance, rows);
      for (uint32_t row = 0; row < rows && block.batch.result != 0; row++) {
        CHECK_EQUAL(TP_OK, tp_result_release(block.batch.result));
      }
    }
    CHECK_EQUAL(TP_OK, tp_instance_destroy(instance));
  }
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  if (status != TP_OK) return status;
  status = tp_thread_watch(&watch);
  if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_thread_unwatch(watch));
  return status;
}

static int32_t identity(void) { return use_model("backend=Identity;shape=4", NULL, 0, 16, 0); }
static int32_t native(void) { return use_model("backend=Identity;shape=4", NULL, 0, 0, 0); }
static int32_t open_dims(void) { return use_model("backend=Identity;shape=-1", NULL, 0, 4, 4); }
static int32_t in_child(const char *more, uint64_t room) {
  char options[1024];
  snprintf(options, sizeof options, "backend=Process;inner=Identity;host=%s;%s", getenv("TRTPIPE_HOST"),
           more);
  return use_model(options, NULL, 0, room, 4);
}
static int32_t process(void) { return in_child("shape=4", 16); }
static int32_t process_native(void) { return in_child("shape=-1", 4); }
static int32_t fault(void) { return use_model("backend=Fault;shape=4", NULL, 0, 16, 0); }
static int32_t shared(void) { return use_model("", negation.model.data, negation.model.length, 16, 0); }
static int32_t own(void) {
  return use_model("session=own", negation.model.data, negation.model.length, 16, 0);
}
static int32_t onnx_native(void) { return use_model("", negation.model.data, negation.model.length, 0, 0); }

static void fail_each(scenario run, const char *name) {
  for (uint32_t n = 1;; n++) {
    CHECK(n < 1000);
    tp_alloc_fail_at(n);
    int32_t status = run();
    tp_alloc_fail_at(0);
    if (status != TP_OK && status != TP_ERR_MEMORY) FAIL("%s: request %u: status %d", name, n, status);
    if (tp_handle_count() != 0) FAIL("%s: request %u: %u handles stayed open", name, n, tp_handle_count());
    CHECK_EQUAL(TP_OK, run());
    if (status == TP_OK) {
      CHECK(n > 4); /* some requests did fail */
      return;
    }
    CHECK_ERROR("bytes of memory");
  }
}

int main(void) {
  char text[64], reports[32];
  watch_children(reports, 0);
  tp_alloc_fail_at(1);
  CHECK_EQUAL(TP_ERR_MEMORY, tp_describe(text, sizeof text));
  fail_each(identity, "identity");
  fail_each(native, "native");
  fail_each(open_dims, "open_dims");
  fail_each(fault, "fault");
  fail_each(process, "process");
  fail_each(process_native, "process_native");
  check_children(reports);
  need_onnxruntime();
  onnx_input(&negation, "x", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_output(&negation, "y", TP_F32, 2, (int64_t[]){-1, 4});
  onnx_node(&negation, "Neg", "x", "y");
  onnx_finish(&negation);
  fail_each(shared, "shared");
  fail_each(own, "own");
  fail_each(onnx_native, "onnx_native");
  onnx_free(&negation);
  return 0;
}
