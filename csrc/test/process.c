/* Process[X] where nothing goes wrong: what comes back is what X itself gives, and nothing is left behind. */
#include "process_fixture.h"

#include "onnx_fixture.h"

static int32_t open_either(int in_child, const char *inner, uint32_t *model) {
  char options[1024];
  if (in_child) return open_process(inner, NULL, 0, model);
  snprintf(options, sizeof options, "backend=%s", inner);
  return open_model(options, NULL, 0, model);
}

/* All outputs of batches of every size, in slots and beside them, as one piece of memory. */
static void outputs_of(int in_child, const char *inner, uint64_t in, uint64_t room, uint8_t *all) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_either(in_child, inner, &model));
  fixture f = make_fixture(model, 8, 2, 2, (uint64_t[]){in, room});
  f.batch->flags = TP_BATCH_DIMS;
  for (uint32_t rows = 1; rows <= 8; rows++) {
    f.batch->dims[0][0] = (int32_t)rows;
    for (uint32_t row = 0; row < rows; row++) {
      set_row(&f, row, row % FIXTURE_CHANNELS, 3 * row);
      uint8_t *data = slot_data(&f, row % FIXTURE_CHANNELS, 3 * row, 0);
      for (uint64_t i = 0; i < in; i++) data[i] = (uint8_t)(rows * 31 + row * 7 + i);
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, rows));
    for (uint32_t row = 0; row < rows; row++, all += 64) {
      memcpy(all, slot_data(&f, row % FIXTURE_CHANNELS, 3 * row, 1), room);
      if (f.batch->result == 0) continue;
      uint64_t bytes = 4 * (uint64_t)f.batch->dims[1][0];
      CHECK_EQUAL(TP_OK, tp_result_copy(f.batch->result, row, 0, all, bytes));
      CHECK_EQUAL(TP_OK, tp_result_release(f.batch->result));
    }
    memcpy(all, f.batch->dims[1], sizeof f.batch->dims[1]);
    all += 64;
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(0, tp_handle_count());
}

static void equal_to_plain(const char *inner, uint64_t in, uint64_t room) {
  static uint8_t plain[8192], child[8192];
  memset(plain, 0, sizeof plain);
  memset(child, 0, sizeof child);
  outputs_of(0, inner, in, room, plain);
  outputs_of(1, inner, in, room, child);
  CHECK(plain[0] != 0);
  CHECK_EQUAL(0, memcmp(plain, child, sizeof plain));
}

/* An output that grows a hundredfold from run to run, kept beyond the runs that follow. */
static void growing_outputs(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_process("Identity;shape=-1;dtype=2", NULL, 0, &model));
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){4000000, 1});
  f.batch->flags = TP_BATCH_DIMS;
  set_row(&f, 0, 0, 0);
  static const int32_t sizes[] = {2, 300, 40000, 4000000, 70000};
  enum { SIZES = sizeof sizes / sizeof sizes[0] };
  uint32_t results[SIZES];
  uint8_t *in = slot_data(&f, 0, 0, 0), *out = malloc(4000000);
  for (int i = 0; i < SIZES; i++) {
    memset(in, i + 1, (size_t)sizes[i]);
    f.batch->dims[0][0] = sizes[i];
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
    results[i] = f.batch->result;
  }
  for (int i = 0; i < SIZES; i++) {
    CHECK_EQUAL(TP_OK, tp_result_copy(results[i], 0, 0, out, (uint64_t)sizes[i]));
    for (int32_t at = 0; at < sizes[i]; at++) CHECK_EQUAL(i + 1, out[at]);
    CHECK_EQUAL(TP_OK, tp_result_release(results[i]));
  }
  free(out);
  finish_process(&f);
}

/* Several instances of one model: a process each, all gone when they are. */
static void one_each(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_process("Identity;shape=2", NULL, 0, &model));
  CHECK_EQUAL(1, child_count(NULL));
  fixture first = make_fixture(model, 2, 1, 2, (uint64_t[]){8, 8});
  CHECK_EQUAL(1, child_count(NULL));
  fixture second = make_fixture(model, 2, 1, 2, (uint64_t[]){8, 8});
  CHECK_EQUAL(2, child_count(NULL));
  end_fixture(&first);
  CHECK_EQUAL(1, child_count(NULL));
  finish_process(&second);
}

/* A model that nobody made an instance of. */
static void unused(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_process("Identity", NULL, 0, &model));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(0, child_count(NULL));
}

static void options(void) {
  uint32_t model = 0;
  char text[2048];
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"inner\" is missing", open_model("backend=Process", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_ARGUMENT, "but Process, got \"Process\"", open_process("Process", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got \"Other\"", open_process("Other", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_ARGUMENT, "Process knows backend, inner, host, run_timeout, dtype, shape",
              open_process("Identity;threads=2", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_ARGUMENT, "expected a number from 0",
              open_process("Identity;run_timeout=-1", NULL, 0, &model));
  /* What the inner backend refuses is told in its own words. */
  CHECK_FAILS(TP_ERR_ARGUMENT, "cannot use option \"shape\": expected up to",
              open_process("Identity;shape=axb", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_LIBRARY, "cannot start the host program \"/nowhere/host\": No such file",
              open_model("backend=Process;inner=Identity;host=/nowhere/host", NULL, 0, &model));
  /* A program that knows nothing of us: how it ended is told, or what it said. */
  CHECK_FAILS(TP_ERR_PARSE, "it ended with exit code 1",
              open_model("backend=Process;inner=Identity;host=/bin/false", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_PARSE,
              "it said: ", open_model("backend=Process;inner=Identity;host=/bin/cat", NULL, 0, &model));
  CHECK_EQUAL(TP_OK, open_process("Identity;shape=3", NULL, 0, &model));
  CHECK(tp_model_describe(model, text, sizeof text) > 0);
  CHECK(strstr(text, "\"backend\":\"Process\"") != NULL && strstr(text, "\"shape\":[3]") != NULL);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
}

/* Errors of rows, of batches and of instances are the child's, with their texts. */
static void errors(void) {
  fixture f = start_fault("");
  CHECK_FAILS(TP_ERR_EXECUTION, "the batch fails: row 1 says so", ask(&f, TP_FAULT_FAIL_BATCH, 0));
  CHECK_FAILS(TP_ERR_ROWS, "row 1 fails: it says so", ask(&f, TP_FAULT_FAIL_ROW, 4));
  CHECK_EQUAL(TP_OK, row_of(&f, 0)->status);
  CHECK_EQUAL(TP_ERR_MEMORY, row_of(&f, 1)->status);
  CHECK_EQUAL(TP_ERR_SPLIT, ask(&f, TP_FAULT_ROW_COUNT, 7));
  check_answers(&f, 1);
  finish_process(&f);
  uint32_t model = 0, instance = 0;
  CHECK_EQUAL(TP_OK, open_process("Fault;fail_create=1", NULL, 0, &model));
  CHECK_FAILS(TP_ERR_EXECUTION, "fail_create says so", tp_instance_create(model, 1, 1, &instance));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  CHECK_EQUAL(0, child_count(NULL));
}

/* A model given as bytes, for its first process and for a second one; both outputs, one of them of open
 * size. */
static void onnx(void) {
  onnx_writer w = {0};
  INPUT("x", -1, -1);
  OUTPUT("y", -1, -1);
  OUTPUT("z", -1, -1);
  onnx_node(&w, "Neg", "x", "y");
  onnx_node(&w, "Abs", "x", "z");
  onnx_finish(&w);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_onnx_process(w.model.data, w.model.length, &model));
  onnx_free(&w);
  fixture f[2];
  for (int i = 0; i < 2; i++) f[i] = make_fixture(model, 4, 1, 3, (uint64_t[]){80, 80, 16});
  for (int i = 0; i < 2; i++) {
    for (int32_t size = 1; size <= 20; size++) {
      f[i].batch->flags = TP_BATCH_DIMS;
      f[i].batch->dims[0][0] = size;
      for (uint32_t row = 0; row < 3; row++) {
        set_row(&f[i], row, 0, 2 * row);
        put(&f[i], 2 * row, 0, size, (float)row + (float)i);
      }
      CHECK_EQUAL(TP_OK, tp_instance_run(f[i].instance, 3));
      CHECK_EQUAL(size > 4 ? 2 : 0, f[i].batch->native_outputs);
      for (uint32_t row = 0; row < 3; row++) {
        float z[20];
        check_floats(slot_data(&f[i], 0, 2 * row, 1), size, -(float)row - (float)i, -1);
        if (size <= 4) memcpy(z, slot_data(&f[i], 0, 2 * row, 2), 4 * (size_t)size);
        else CHECK_EQUAL(TP_OK, tp_result_copy(f[i].batch->result, row, 1, z, 4 * (uint64_t)size));
        check_floats(z, size, (float)row + (float)i, 1);
        if (size > 4) CHECK_EQUAL(TP_OK, tp_result_release(f[i].batch->result));
      }
    }
  }
  end_fixture(&f[0]);
  finish_process(&f[1]);
  CHECK_FAILS(TP_ERR_PARSE, "ONNX Runtime refused the model", open_onnx_process("nonsense", 8, &model));
  CHECK_EQUAL(0, child_count(NULL));
}

#if defined(TRTPIPE_FAULT) && defined(__SANITIZE_ADDRESS__)
/* The control of check_children: a child that leaks is seen. */
static void leaks_are_seen(void) {
  char folder[32], report[300];
  watch_children(folder, 0);
  fixture f = start_fault("");
  CHECK_EQUAL(TP_OK, ask(&f, TP_FAULT_LEAK, 1000));
  finish_process(&f);
  int found = 0;
  DIR *all = opendir(folder);
  CHECK(all != NULL);
  for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    snprintf(report, sizeof report, "%s/%s", folder, entry->d_name);
    CHECK_EQUAL(0, unlink(report));
    found++;
  }
  closedir(all);
  CHECK_EQUAL(1, found);
  CHECK_EQUAL(0, rmdir(folder));
}
#endif

int main(void) {
  char reports[32];
  watch_children(reports, 0);
  equal_to_plain("Identity;shape=9", 36, 36);
  equal_to_plain("Identity;shape=9;output_shape=13", 36, 52);
  equal_to_plain("Identity;shape=9;dtype=2", 9, 9);
  equal_to_plain("Identity;shape=-1", 32, 16);
  growing_outputs();
  one_each();
  unused();
  options();
#ifdef TRTPIPE_FAULT
  errors();
#endif
  check_children(reports);
#if defined(TRTPIPE_FAULT) && defined(__SANITIZE_ADDRESS__)
  leaks_are_seen();
#endif
  need_onnxruntime();
  watch_children(reports, 0);
  onnx();
  check_children(reports);
  return 0;
}
