/* What the functions refuse, in words, and what the library and its models tell about themselves. */
#include "fixture.h"

static uint8_t payload[4096];
static union {
  tp_batch batch;
  uint8_t bytes[sizeof(tp_batch) + 4 * sizeof(tp_row)];
} block;
static const uint64_t offsets[] = {0, 1024}, strides[] = {16, 16};

static void creating_is_checked(uint32_t model) {
  uint32_t instance = 0;
  CHECK_FAILS(TP_ERR_ARGUMENT, "max_rows", tp_instance_create(model, 0, 1, &instance));
  CHECK_FAILS(TP_ERR_ARGUMENT, "max_rows", tp_instance_create(model, 65537, 1, &instance));
  CHECK_FAILS(TP_ERR_ARGUMENT, "min_rows", tp_instance_create(model, 4, 0, &instance));
  CHECK_FAILS(TP_ERR_ARGUMENT, "min_rows", tp_instance_create(model, 4, 5, &instance));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_instance_create(model, 4, 1, NULL));
  CHECK_EQUAL(0, instance);
}

static void binding_is_checked(uint32_t instance) {
  CHECK_FAILS(TP_ERR_ARGUMENT, "no layout is bound", tp_instance_run(instance, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "no layout is bound", tp_instance_bind_channel(instance, 0, payload, 4096, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected 2 tensors", tp_instance_bind_layout(instance, offsets, strides, 3));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_instance_bind_layout(instance, NULL, strides, 2));
  CHECK_FAILS(TP_ERR_ARGUMENT, "its stride is 15",
              tp_instance_bind_layout(instance, offsets, (uint64_t[]){15, 16}, 2));
  CHECK_EQUAL(TP_OK, tp_instance_bind_layout(instance, offsets, strides, 2));
  CHECK_FAILS(TP_ERR_ARGUMENT, "no batch block is bound", tp_instance_run(instance, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_instance_bind_batch(instance, NULL, sizeof block));
  CHECK_FAILS(TP_ERR_ARGUMENT, "aligned", tp_instance_bind_batch(instance, block.bytes + 4, sizeof block));
  CHECK_FAILS(TP_ERR_ARGUMENT, "for 4 rows", tp_instance_bind_batch(instance, &block, sizeof block - 1));
  CHECK_EQUAL(TP_OK, tp_instance_bind_batch(instance, &block, sizeof block));
  CHECK_FAILS(TP_ERR_ARGUMENT, "below 256", tp_instance_bind_channel(instance, 256, payload, 4096, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got 0", tp_instance_bind_channel(instance, 0, payload, 4096, 0));
  CHECK_FAILS(TP_ERR_ARGUMENT, "do not fit", tp_instance_bind_channel(instance, 0, payload, 1039, 1));
  CHECK_FAILS(TP_ERR_ARGUMENT, "do not fit", tp_instance_bind_channel(instance, 0, payload, 4096, 193));
  CHECK_FAILS(TP_ERR_ARGUMENT, "do not fit",
              tp_instance_bind_channel(instance, 0, payload, 4096, UINT32_MAX));
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(instance, 255, payload, 1040, 1));
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(instance, 0, payload, 4096, 192));
}

static void rows_are_checked(uint32_t instance) {
  tp_row *rows = (tp_row *)(void *)(&block.batch + 1);
  CHECK_FAILS(TP_ERR_ARGUMENT, "1 to 4 rows, got 0", tp_instance_run(instance, 0));
  CHECK_FAILS(TP_ERR_ARGUMENT, "1 to 4 rows, got 5", tp_instance_run(instance, 5));
  rows[1] = (tp_row){.channel = 1};
  CHECK_FAILS(TP_ERR_ARGUMENT, "row 1 names channel 1", tp_instance_run(instance, 2));
  rows[1] = (tp_row){.channel = UINT32_MAX};
  CHECK_FAILS(TP_ERR_ARGUMENT, "not bound", tp_instance_run(instance, 2));
  rows[1] = (tp_row){.channel = 255, .slot = 1};
  CHECK_FAILS(TP_ERR_ARGUMENT, "slot 1 of channel 255", tp_instance_run(instance, 2));
  rows[1] = (tp_row){.channel = 0, .slot = 191};
  CHECK_EQUAL(TP_OK, tp_instance_run(instance, 2));
  CHECK_EQUAL(TP_OK, tp_instance_bind_channel(instance, 0, NULL, 0, 0));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not bound", tp_instance_run(instance, 2));
  /* A new layout takes back what was bound under the old one. */
  rows[0] = (tp_row){.channel = 255, .slot = 0};
  CHECK_EQUAL(TP_OK, tp_instance_run(instance, 1));
  CHECK_EQUAL(TP_OK, tp_instance_bind_layout(instance, offsets, strides, 2));
  CHECK_FAILS(TP_ERR_ARGUMENT, "not bound", tp_instance_run(instance, 1));
}

static void instances(void) {
  uint32_t model = 0, instance = 0;
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=4", NULL, 0, &model));
  creating_is_checked(model);
  CHECK_EQUAL(TP_OK, tp_instance_create(model, 4, 1, &instance));
  binding_is_checked(instance);
  rows_are_checked(instance);
  CHECK_EQUAL(TP_OK, tp_instance_interrupt(instance));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_instance_create(model, 1, 1, &instance));
  CHECK_EQUAL(TP_OK, tp_instance_destroy(instance));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_instance_destroy(instance));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_instance_run(instance, 1));
}

static void open_fails(const char *options, const char *part) {
  uint32_t model = 0;
  CHECK_FAILS(TP_ERR_ARGUMENT, part, open_model(options, NULL, 0, &model));
  CHECK_EQUAL(0, model);
}

static void opening_is_checked(void) {
  uint32_t model = 0;
  open_fails("", "\"backend\" is missing");
  open_fails("backend=Nothing", "got \"Nothing\"");
  open_fails("backend=Identity;path=x", "Identity knows backend, dtype, shape, output_dtype, output_shape");
  open_fails("backend=Identity;dtype=8", "string");
  open_fails("backend=Identity;dtype=99", "unknown");
  open_fails("backend=Identity;shape=1x1x1x1x1x1x1x1", "up to 7 dimensions");
  open_fails("backend=Identity;output_shape=-1", "only \"shape\" may have open dimensions");
  CHECK_EQUAL(TP_ERR_UNSUPPORTED,
              open_model("backend=Identity;shape=2147483647x2147483647x8", NULL, 0, &model));
  CHECK_ERROR("more bytes than can be addressed");
  CHECK_FAILS(TP_ERR_ARGUMENT, "model_out", tp_model_open("backend=Identity", 17, NULL, 0, NULL));
  CHECK_FAILS(TP_ERR_ARGUMENT, "bytes are NULL", tp_model_open("backend=Identity", 17, NULL, 1, &model));
  /* A shape that can be addressed but not had. */
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=1073741824x1048576", NULL, 0, &model));
  uint32_t instance = 0;
  CHECK_EQUAL(TP_ERR_MEMORY, tp_instance_create(model, 4096, 1, &instance));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

static void describing(void) {
  uint32_t model = 0;
  char text[512];
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=3x-1;output_dtype=7", NULL, 0, &model));
  int32_t length = tp_model_describe(model, text, sizeof text);
  CHECK_EQUAL(strlen(text), length);
  CHECK(strstr(text, "\"batch\":\"dynamic\",\"batch_size\":1") != NULL);
  CHECK(strstr(text, "\"inputs\":[{\"name\":\"input\",\"dtype\":1,\"shape\":[3,-1]}]") != NULL);
  CHECK(strstr(text, "\"outputs\":[{\"name\":\"output\",\"dtype\":7,\"shape\":[3,-1]}]") != NULL);
  CHECK_EQUAL(length, tp_model_describe(model, text, 4));
  CHECK_TEXT("{\"b", text);
  CHECK_EQUAL(length, tp_model_describe(model, NULL, 0));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_model_describe(model, text, sizeof text));
  CHECK(tp_describe(text, sizeof text) > 0);
  CHECK(strstr(text, "\"Identity\"") != NULL && strstr(text, "\"version\":\"" TRTPIPE_VERSION "\"") != NULL);
  CHECK_EQUAL((uint32_t)TP_ABI_MAJOR << 16 | TP_ABI_MINOR, tp_abi_version());
  CHECK_EQUAL(2112, tp_layout(TP_LAYOUT_BATCH_BYTES));
  CHECK_EQUAL(256, tp_layout(TP_LAYOUT_MAX_CHANNELS));
  CHECK_EQUAL(12, tp_layout(TP_LAYOUT_BATCH_RUN));
  CHECK_EQUAL(UINT32_MAX, tp_layout(TP_LAYOUT_BATCH_RUN + 1));
}

int main(void) {
  instances();
  opening_is_checked();
  describing();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
