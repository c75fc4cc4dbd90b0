/* Real models: a batch gives what its rows give alone, from a path or bytes, in shared and own sessions. */
#include <math.h>

#include "fixture.h"

static uint8_t *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  CHECK_EQUAL(0, fseek(file, 0, SEEK_END));
  *length = (size_t)ftell(file);
  CHECK_EQUAL(0, fseek(file, 0, SEEK_SET));
  uint8_t *data = malloc(*length);
  CHECK(data != NULL && fread(data, 1, *length, file) == *length);
  fclose(file);
  return data;
}

typedef struct real_model {
  const char *file;
  uint64_t in, out; /* elements of an item: 4 bytes each */
  int whole;        /* inputs are whole numbers below 256 */
} real_model;

static void fill(const fixture *f, const real_model *m, uint32_t slot) {
  uint64_t random = slot + 1;
  float *numbers = slot_data(f, 0, slot, 0);
  int32_t *whole = slot_data(f, 0, slot, 0);
  for (uint64_t i = 0; i < m->in; i++) {
    if (m->whole) whole[i] = (int32_t)(next_random(&random) % 256);
    else numbers[i] = (float)(next_random(&random) % 2001) / 1000 - 1;
  }
}

static void check_close(const float *expected, const float *actual, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    double difference = fabs((double)expected[i] - (double)actual[i]);
    if (!(difference <= 1e-4 * (1 + fabs((double)expected[i])))) {
      FAIL("element %llu: expected %g, got %g", (unsigned long long)i, (double)expected[i],
           (double)actual[i]);
    }
  }
}

enum { ROWS = 4 };

/* Slots 0..3 run alone; the reference for all other ways. */
static float *run_alone(uint32_t model, const real_model *m) {
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){m->in * 4, m->out * 4});
  float *expected = calloc(ROWS * m->out, sizeof *expected);
  CHECK(expected != NULL);
  double different = 0;
  for (uint32_t slot = 0; slot < ROWS; slot++) {
    fill(&f, m, slot);
    set_row(&f, 0, 0, slot);
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
    memcpy(expected + slot * m->out, slot_data(&f, 0, slot, 1), m->out * 4);
    for (uint64_t i = 0; i < m->out; i++)
      different += fabs((double)expected[slot * m->out + i] - (double)expected[i]);
  }
  CHECK(different > 1e-3); /* else rows could be mixed up unseen */
  end_fixture(&f);
  return expected;
}

/* All slots in one batch; with `apart` the strides are larger than the items, so that nothing is in place. */
static void run_together(uint32_t model, const real_model *m, const float *expected, int apart,
                         uint32_t min_rows) {
  static const uint32_t orders[][ROWS] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 3, 0}};
  uint64_t more = apart ? 64 : 0;
  fixture f = make_fixture(model, 5, min_rows, 2, (uint64_t[]){m->in * 4 + more, m->out * 4 + more});
  for (uint32_t slot = 0; slot < ROWS; slot++) fill(&f, m, slot);
  for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
    for (uint32_t row = 0; row < ROWS; row++) {
      memset(slot_data(&f, 0, row, 1), 0xA5, m->out * 4);
      set_row(&f, row, 0, orders[order][row]);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, ROWS));
    for (uint32_t slot = 0; slot < ROWS; slot++) {
      check_close(expected + slot * m->out, slot_data(&f, 0, slot, 1), m->out);
    }
  }
  end_fixture(&f);
}

static int test_model(const real_model *m) {
  char path[4096], options[8192];
  snprintf(path, sizeof path, "%s/%s", getenv("TRTPIPE_TEST_MODELS"), m->file);
  size_t length = 0;
  uint8_t *data = read_file(path, &length);
  if (data == NULL) return 0;
  uint32_t model = 0, own = 0;
  snprintf(options, sizeof options, "path=%s", path);
  CHECK_EQUAL(TP_OK, open_onnx(options, NULL, 0, &model));
  float *expected = run_alone(model, m);
  run_together(model, m, expected, 0, 1);
  run_together(model, m, expected, 1, 1);
  run_together(model, m, expected, 0, 5);
  CHECK_EQUAL(TP_OK, open_onnx("session=own;threads=2", data, length, &own));
  memset(data, 0, length); /* copied before the call returned */
  free(data);
  run_together(own, m, expected, 0, 1); /* the session that described the model */
  run_together(own, m, expected, 1, 1); /* a new one */
  CHECK_EQUAL(TP_OK, tp_model_close(own));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(0, tp_handle_count());
  free(expected);
  return 1;
}

int main(void) {
  need_onnxruntime();
  static const real_model magika = {"magika.onnx", 2048, 214, 1};
  static const real_model efficientnet = {"efficientnet_lite0.onnx", 3 * 224 * 224, 1000, 0};
  if (getenv("TRTPIPE_TEST_MODELS") == NULL || !(test_model(&magika) & test_model(&efficientnet))) {
    printf(
        "skipped: TRTPIPE_TEST_MODELS does not name the folder of magika.onnx and efficientnet_lite0.onnx\n");
    return SKIPPED;
  }
  return 0;
}
