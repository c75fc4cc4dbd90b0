/* What ONNX Runtime and the file system refuse, and how it is told. */
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static void fails(int32_t status, const char *part, const char *options, const void *data, size_t length) {
  uint32_t model = 0;
  CHECK_FAILS(status, part, open_onnx(options, data, length, &model));
  CHECK_EQUAL(0, model);
  CHECK(strpbrk(last_error(), "\n\r") == NULL);
  /* Where ONNX Runtime was compiled. */
  CHECK(strstr(last_error(), "onnxruntime_src") == NULL && strstr(last_error(), "/core/") == NULL);
}

/* Before any library was opened: all that was tried is listed. */
static void no_library(void) {
  uint32_t model = 0;
  int32_t status = open_model("backend=OnnxTensor;path=x;onnxruntime=/nowhere/liba.so;onnxruntime=/dev/null",
                              NULL, 0, &model);
  CHECK_EQUAL(TP_ERR_LIBRARY, status);
  CHECK_ERROR("\"/nowhere/liba.so\": cannot open shared object file");
  CHECK_ERROR("\"/dev/null\": ");
  /* Who names libraries gets none that was not named. */
  CHECK(strstr(last_error(), "libonnxruntime") == NULL);
  CHECK_EQUAL(TP_ERR_LIBRARY, open_model("backend=OnnxTensor;path=x;onnxruntime=libm.so.6", NULL, 0, &model));
  CHECK_ERROR("\"libm.so.6\": it is not ONNX Runtime");
}

static void another_library(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_ERR_LIBRARY,
              open_model("backend=OnnxTensor;path=x;onnxruntime=/nowhere/liba.so", NULL, 0, &model));
  CHECK_ERROR("cannot use ONNX Runtime \"/nowhere/liba.so\": this process already uses ");
}

static void options(void) {
  fails(TP_ERR_ARGUMENT, "expected a path or the model's bytes, got neither", "", NULL, 0);
  fails(TP_ERR_ARGUMENT, "got both", "path=x", "y", 1);
  fails(TP_ERR_ARGUMENT, "expected shared or own, got \"mine\"", "session=mine", "y", 1);
  fails(TP_ERR_ARGUMENT, "expected a number from 1 to 1024, got \"0\"", "threads=0", "y", 1);
  fails(TP_ERR_ARGUMENT, "OnnxTensor knows backend, path, onnxruntime, threads, session", "shape=3", "y", 1);
}

static void files(void) {
  char folder[] = "/tmp/trtpipe-test-XXXXXX", path[128], option[160];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(option, sizeof option, "path=%s", folder);
  fails(TP_ERR_OPEN, "it is a directory", option, NULL, 0);
  snprintf(path, sizeof path, "%s/pipe", folder);
  snprintf(option, sizeof option, "path=%s", path);
  CHECK_EQUAL(0, mkfifo(path, 0600));
  fails(TP_ERR_OPEN, "it is not a regular file", option, NULL, 0); /* and does not wait for a writer */
  CHECK_EQUAL(0, unlink(path));
  fails(TP_ERR_OPEN, "No such file or directory", option, NULL, 0);
  fails(TP_ERR_OPEN, "not a regular file", "path=/dev/zero", NULL, 0);
  CHECK_EQUAL(0, rmdir(folder));
}

static void models(void) {
  onnx_writer w = {0};
  static const int64_t dims[] = {-1, 2};
  fails(TP_ERR_PARSE, "ONNX Runtime refused the model", "", "not a model", 11);
  fails(TP_ERR_PARSE, "ONNX Runtime refused the model", "", "", 0);
  onnx_input(&w, "x", TP_F32, 2, dims);
  onnx_output(&w, "y", TP_F32, 2, dims);
  onnx_node(&w, "NoSuchOperator", "x", "y");
  onnx_finish(&w);
  fails(TP_ERR_PARSE, "NoSuchOperator", "", w.model.data, w.model.length);
  fails(TP_ERR_PARSE, "ONNX Runtime refused the model", "", w.model.data, w.model.length / 2);
  onnx_free(&w);
}

/* A batch that fails leaves the instance usable. */
static void runs(void) {
  onnx_writer w = {0};
  static const int64_t table[] = {3, 2}, dims[] = {-1, 1};
  static const int64_t result[] = {-1, 1, 2};
  static const float values[] = {1, 2, 3, 4, 5, 6};
  onnx_initializer(&w, "table", TP_F32, 2, table, values, sizeof values);
  onnx_input(&w, "index", TP_I64, 2, dims);
  onnx_output(&w, "y", TP_F32, 3, result);
  onnx_node(&w, "Gather", "table index", "y");
  onnx_finish(&w);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_onnx("", w.model.data, w.model.length, &model));
  fixture f = make_fixture(model, 4, 1, 2, (uint64_t[]){8, 8});
  for (int round = 0; round < 3; round++) {
    for (uint32_t row = 0; row < 3; row++) {
      set_row(&f, row, 0, row * 2);
      *(int64_t *)slot_data(&f, 0, row * 2, 0) = round == 1 && row == 2 ? 1000 : row;
    }
    if (round == 1) {
      CHECK_FAILS(TP_ERR_EXECUTION, "ONNX Runtime failed the batch", tp_instance_run(f.instance, 3));
      CHECK_EQUAL(0, f.batch->result);
      continue;
    }
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 3));
    for (uint32_t row = 0; row < 3; row++) {
      CHECK_EQUAL(0, memcmp(values + 2 * row, slot_data(&f, 0, row * 2, 1), 8));
    }
  }
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  onnx_free(&w);
}

int main(void) {
  need_onnxruntime();
  no_library();
  options();
  files();
  models();
  another_library();
  runs();
  CHECK_EQUAL(0, tp_handle_count());
  return 0;
}
