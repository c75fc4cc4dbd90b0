#include "fixture.h"

int32_t open_model(const char *options, const void *model_bytes, size_t byte_count, uint32_t *model) {
  char records[8192];
  size_t length = strlen(options);
  CHECK(length + 1 < sizeof records);
  memcpy(records, options, length + 1);
  for (size_t i = 0; i < length; i++) {
    if (records[i] == ';') records[i] = '\0';
  }
  return tp_model_open(records, (uint32_t)(length > 0 ? length + 1 : 0), model_bytes, byte_count, model);
}

int32_t open_onnx(const char *options, const void *model_bytes, size_t byte_count, uint32_t *model) {
  char all[8192];
  snprintf(all, sizeof all, "backend=OnnxTensor;onnxruntime=%s%s%s", getenv("TRTPIPE_ONNXRUNTIME"),
           *options != '\0' ? ";" : "", options);
  return open_model(all, model_bytes, byte_count, model);
}

void need_onnxruntime(void) {
  const char *path = getenv("TRTPIPE_ONNXRUNTIME");
  FILE *file = path != NULL ? fopen(path, "rb") : NULL;
  if (file == NULL) {
    printf("skipped: TRTPIPE_ONNXRUNTIME does not name a libonnxruntime\n");
    exit(SKIPPED);
  }
  fclose(file);
}

static void bind(fixture *f) {
  CHECK_EQUAL(TP_OK, tp_instance_bind_layout(f->instance, f->offsets, f->strides, f->tensors));
  for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) {
    CHECK_EQUAL(TP_OK,
                tp_instance_bind_channel(f->instance, c, f->payloads[c], f->payload_bytes, FIXTURE_SLOTS));
  }
  CHECK_EQUAL(TP_OK,
              tp_instance_bind_batch(f->instance, f->batch, sizeof(tp_batch) + f->max_rows * sizeof(tp_row)));
}

fixture make_fixture(uint32_t model, uint32_t max_rows, uint32_t min_rows, uint32_t tensors,
                     const uint64_t *strides) {
  fixture f = {.model = model, .max_rows = max_rows, .tensors = tensors};
  CHECK_EQUAL(TP_OK, tp_instance_create(model, max_rows, min_rows, &f.instance));
  for (uint32_t k = 0; k < tensors; k++) {
    f.strides[k] = strides[k];
    f.offsets[k] = f.payload_bytes;
    f.payload_bytes = (f.payload_bytes + strides[k] * FIXTURE_SLOTS + 63) / 64 * 64;
  }
  if (f.payload_bytes == 0) f.payload_bytes = 64;
  for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) {
    CHECK_EQUAL(0, posix_memalign((void **)&f.payloads[c], 64, f.payload_bytes));
    memset(f.payloads[c], 0xA5, f.payload_bytes);
  }
  f.batch = calloc(1, sizeof(tp_batch) + max_rows * sizeof(tp_row));
  CHECK(f.batch != NULL);
  bind(&f);
  return f;
}

void end_fixture(fixture *f) {
  CHECK_EQUAL(TP_OK, tp_instance_destroy(f->instance));
  for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) free(f->payloads[c]);
  free(f->batch);
}

tp_row *row_of(const fixture *f, uint32_t row) { return (tp_row *)(void *)(f->batch + 1) + row; }

void set_row(const fixture *f, uint32_t row, uint32_t channel, uint32_t slot) {
  *row_of(f, row) = (tp_row){.channel = channel, .slot = slot, .status = 12345};
}

void *slot_data(const fixture *f, uint32_t channel, uint32_t slot, uint32_t k) {
  return f->payloads[channel] + f->offsets[k] + slot * f->strides[k];
}
