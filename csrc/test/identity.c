/* The path of a batch, on Identity: shapes, layouts, in place or gathered, padding, native outputs. */
#include "fixture.h"

#include <math.h>

/* Bytes that tell which slot and which place they belong to. */
static void fill(const fixture *f, uint32_t channel, uint32_t slot, uint64_t bytes) {
  uint8_t *data = slot_data(f, channel, slot, 0);
  for (uint64_t i = 0; i < bytes; i++) data[i] = (uint8_t)(channel * 101 + slot * 7 + i);
}

static void check_output(const fixture *f, uint32_t channel, uint32_t slot, uint64_t in, uint64_t out) {
  const uint8_t *from = slot_data(f, channel, slot, 0), *to = slot_data(f, channel, slot, 1);
  for (uint64_t i = 0; i < out; i++) CHECK_EQUAL(i < in ? from[i] : 0, to[i]);
}

/* The places of a batch's rows: in one piece, in several, backwards, mixed. */
static void place(const fixture *f, int pattern, uint32_t rows, uint32_t *channels, uint32_t *slots) {
  for (uint32_t row = 0; row < rows; row++) {
    channels[row] = pattern == 3 ? row % FIXTURE_CHANNELS : pattern == 2 ? (row / 2) % 2 : 1;
    slots[row] = pattern == 0 ? 5 + row : pattern == 1 ? FIXTURE_SLOTS - 1 - row : (row * 5) % FIXTURE_SLOTS;
    if (pattern == 2) slots[row] = row;
    set_row(f, row, channels[row], slots[row]);
  }
}

static void echo(const char *options, uint64_t in, uint64_t out, uint64_t stride_more, uint32_t min_rows) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model(options, NULL, 0, &model));
  uint64_t strides[] = {in + stride_more, out + stride_more};
  fixture f = make_fixture(model, 16, min_rows, 2, strides);
  uint32_t channels[16], slots[16];
  for (int pattern = 0; pattern < 4; pattern++) {
    for (uint32_t rows = 1; rows <= 16; rows++) {
      for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) memset(f.payloads[c], 0xA5, f.payload_bytes);
      place(&f, pattern, rows, channels, slots);
      for (uint32_t row = 0; row < rows; row++) fill(&f, channels[row], slots[row], in);
      CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
      CHECK_EQUAL(0, f.batch->result);
      CHECK_EQUAL(0, f.batch->native_outputs);
      uint64_t written = 0;
      for (uint32_t row = 0; row < rows; row++) {
        CHECK_EQUAL(TP_OK, row_of(&f, row)->status);
        check_output(&f, channels[row], slots[row], in, out);
        written += out;
      }
      /* Nothing else was touched: every other byte of the outputs is still the filler. */
      uint64_t filler = 0;
      for (uint32_t c = 0; c < FIXTURE_CHANNELS; c++) {
        for (uint32_t s = 0; s < FIXTURE_SLOTS; s++) {
          int used = 0;
          for (uint32_t row = 0; row < rows; row++) used |= channels[row] == c && slots[row] == s;
          const uint8_t *to = slot_data(&f, c, s, 1);
          for (uint64_t i = used ? out : 0; i < strides[1]; i++) filler += to[i] != 0xA5;
        }
      }
      CHECK_EQUAL(0, filler);
    }
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

static void all_dtypes(void) {
  static const struct {
    int dtype;
    uint64_t bytes;
  } dtypes[] = {{TP_F32, 4},  {TP_U8, 1},  {TP_I8, 1},  {TP_U16, 2}, {TP_I16, 2}, {TP_I32, 4}, {TP_I64, 8},
                {TP_BOOL, 1}, {TP_F16, 2}, {TP_F64, 8}, {TP_U32, 4}, {TP_U64, 8}, {TP_BF16, 2}};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    char options[128];
    snprintf(options, sizeof options, "backend=Identity;dtype=%d;shape=3x5", dtypes[i].dtype);
    echo(options, 15 * dtypes[i].bytes, 15 * dtypes[i].bytes, i % 2, 1);
  }
}

/* Outputs that need more room than their slots have are read from a result, of fixed size or not. */
static void native_outputs(const char *options, uint32_t flags, int32_t dim) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model(options, NULL, 0, &model));
  fixture f = make_fixture(model, 8, 1, 2, (uint64_t[]){64, 4});
  f.batch->flags = flags;
  f.batch->dims[0][0] = dim;
  for (uint32_t row = 0; row < 3; row++) {
    set_row(&f, row, row, 4 * row);
    fill(&f, row, 4 * row, 24);
  }
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 3));
  CHECK(f.batch->result != 0);
  CHECK_EQUAL(1, f.batch->native_outputs);
  if (flags != 0) {
    CHECK_EQUAL(6, f.batch->dims[1][0]);
    CHECK_EQUAL(-1, f.batch->dims[1][1]);
  }
  uint32_t result = f.batch->result;
  CHECK_EQUAL(3, tp_handle_count());
  /* It outlives its instance and its model. */
  uint8_t expected[3][24], item[24];
  for (uint32_t row = 0; row < 3; row++) memcpy(expected[row], slot_data(&f, row, 4 * row, 0), 24);
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(1, tp_handle_count());
  for (uint32_t row = 0; row < 3; row++) {
    CHECK_EQUAL(TP_OK, tp_result_copy(result, row, 0, item, 24));
    CHECK_EQUAL(0, memcmp(expected[row], item, 24));
    CHECK_FAILS(TP_ERR_ARGUMENT, "expected a buffer of 24 bytes, got 23",
                tp_result_copy(result, row, 0, item, 23));
    CHECK_FAILS(TP_ERR_ARGUMENT, "got 0", tp_result_copy(result, row, 0, NULL, 24));
    CHECK_FAILS(TP_ERR_ARGUMENT, "it has 3 rows", tp_result_copy(result, 3, 0, item, 24));
    CHECK_FAILS(TP_ERR_ARGUMENT, "is in the slots", tp_result_copy(result, row, 1, item, 24));
    CHECK_EQUAL(TP_OK, tp_result_release(result));
  }
  CHECK_EQUAL(TP_ERR_HANDLE, tp_result_release(result));
  CHECK_EQUAL(TP_ERR_HANDLE, tp_result_copy(result, 0, 0, item, 24));
  CHECK_EQUAL(0, tp_handle_count());
}

/* One model with an open dimension, batches of different shapes, all of which fit into the slots. */
static void open_dimension(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_model("backend=Identity;shape=-1x2;dtype=6", NULL, 0, &model));
  fixture f = make_fixture(model, 4, 2, 2, (uint64_t[]){80, 80});
  set_row(&f, 0, 0, 0);
  CHECK_FAILS(TP_ERR_ARGUMENT, "the batch gives no shapes", tp_instance_run(f.instance, 1));
  f.batch->flags = TP_BATCH_DIMS;
  f.batch->dims[0][1] = 2;
  static const int32_t sizes[] = {1, 10, 0, 3};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (uint32_t rows = 1; rows <= 4; rows++) {
      f.batch->dims[0][0] = sizes[i];
      for (uint32_t row = 0; row < rows; row++) {
        set_row(&f, row, 0, row * (1 + (rows & 1)));
        fill(&f, 0, row * (1 + (rows & 1)), 80);
      }
      CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
      CHECK_EQUAL(0, f.batch->result);
      CHECK_EQUAL(sizes[i], f.batch->dims[1][0]);
      CHECK_EQUAL(2, f.batch->dims[1][1]);
      for (int d = 2; d < TP_MAX_RANK; d++) CHECK_EQUAL(-1, f.batch->dims[1][d]);
      for (uint32_t row = 0; row < rows; row++) {
        check_output(&f, 0, row_of(&f, row)->slot, 80, (uint64_t)sizes[i] * 8);
      }
    }
  }
  static const int32_t wrong[][2] = {{-1, 2}, {11, 2}, {1, 3}, {INT32_MAX, 2}, {INT32_MIN, 2}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    memcpy(f.batch->dims[0], wrong[i], sizeof wrong[i]);
    CHECK_FAILS(TP_ERR_ARGUMENT, "input \"input\"", tp_instance_run(f.instance, 1));
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

int main(void) {
  echo("backend=Identity", 4, 4, 0, 1);
  echo("backend=Identity;shape=0", 0, 0, 0, 1);
  echo("backend=Identity;shape=0;output_shape=3", 0, 12, 0, 1);
  echo("backend=Identity;shape=9", 36, 36, 0, 4);
  echo("backend=Identity;shape=9", 36, 36, 12, 16);
  echo("backend=Identity;shape=2x3x5x7x11x13x1;dtype=2", 30030, 30030, 0, 1);
  echo("backend=Identity;shape=6;output_shape=2;output_dtype=11", 24, 16, 0, 1);
  echo("backend=Identity;shape=6;output_shape=2x4", 24, 32, 8, 3);
  all_dtypes();
  native_outputs("backend=Identity;shape=6", 0, 0);
  native_outputs("backend=Identity;shape=-1", TP_BATCH_DIMS, 6);
  open_dimension();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
