/* Engines in files: built once, built anew when they do not fit, never used when they are damaged. */
#include "../tensorrt_cache.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../memory.h"
#include "trt_fixture.h"

static char folder[] = "/tmp/trtpipe-cache-XXXXXX";
static char cache[64], engine[64], program[64], count_file[64];

static void read_file(const char *path, tp_bytes *bytes) {
  *bytes = (tp_bytes){0};
  CHECK_EQUAL(TP_OK, tp_file_read(path, bytes));
}

static void write_bytes(const char *path, const uint8_t *data, size_t count) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL);
  CHECK_EQUAL(count, fwrite(data, 1, count, file));
  CHECK_EQUAL(0, fclose(file));
}

/* A program that builds, and counts how often it did. */
static void write_program(void) {
  FILE *file = fopen(program, "w");
  CHECK(file != NULL);
  fprintf(file, "#!/bin/sh\necho built >>%s\nexec %s \"$@\"\n", count_file, getenv("TRTPIPE_FAKE_HOST"));
  CHECK_EQUAL(0, fclose(file));
  CHECK_EQUAL(0, chmod(program, 0700));
}

static int builds(void) {
  struct stat found;
  return stat(count_file, &found) == 0 ? (int)(found.st_size / 6) : 0;
}

/* Opens the model of `columns` with the cache, runs a row, closes it; `note` must be in the description. */
static void open_cached(int64_t columns, const char *more, const char *note) {
  char options[512], text[4096];
  uint32_t model = 0;
  onnx_writer w = negation(columns);
  snprintf(options, sizeof options, "backend=TensorrtTensor;cuda=%s;tensorrt=%s;host=%s;model::cache=%s%s",
           getenv("TRTPIPE_FAKE_CUDA"), getenv("TRTPIPE_FAKE_TRT"), program, cache, more);
  int32_t status = open_model(options, w.model.data, w.model.length, &model);
  if (status != TP_OK) FAIL("opening: %d", status);
  tp_model_describe(model, text, sizeof text);
  if (note == NULL && strstr(text, "\"note\"") != NULL) FAIL("%s", text);
  if (note != NULL && strstr(text, note) == NULL) FAIL("expected a note with \"%s\" in %s", note, text);
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){(uint64_t)columns * 4, (uint64_t)columns * 4});
  set_row(&f, 0, 0, 0);
  memset(slot_data(&f, 0, 0, 0), 0, (size_t)columns * 4);
  *(float *)slot_data(&f, 0, 0, 0) = 7;
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  CHECK(*(float *)slot_data(&f, 0, 0, 1) == -7);
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  onnx_free(&w);
  check_nothing_left();
}

static void built_once(void) {
  struct stat found;
  open_cached(3, "", NULL);
  CHECK_EQUAL(1, builds());
  CHECK_EQUAL(0, stat(cache, &found));
  CHECK_EQUAL(0600, found.st_mode & 0777);
  open_cached(3, "", NULL);
  open_cached(3, ";spin_us=7", NULL);
  CHECK_EQUAL(1, builds());
}

/* What an engine depends on is in its file; what differs is named. */
static void built_anew(void) {
  open_cached(3, ";precision=tf32", "its precision is \\\"fp32\\\", and \\\"tf32\\\" is needed");
  open_cached(3, ";precision=tf32", NULL);
  open_cached(3, ";precision=tf32;max=5", "its max is \\\"1\\\", and \\\"5\\\" is needed");
  open_cached(3, ";precision=tf32;max=5;max_workspace_size=7", "its max_workspace_size is \\\"1024\\\"");
  open_cached(4, ";precision=tf32;max=5;max_workspace_size=7", "its model is \\\"");
  open_cached(4, ";precision=tf32;max=5;max_workspace_size=7;device_id=1", "its gpu is \\\"Fake GPU 0\\\"");
  CHECK_EQUAL(6, builds());
}

/* Every byte counts, and so does the length. */
static void damaged(void) {
  tp_bytes bytes;
  open_cached(3, "", "its gpu is");
  int before = builds(), made = 0;
  read_file(cache, &bytes);
  for (size_t at = 0; at < bytes.count; at += at < 500 ? 37 : bytes.count / 5) {
    bytes.data[at] ^= 0x10;
    write_bytes(cache, bytes.data, bytes.count);
    bytes.data[at] ^= 0x10;
    open_cached(3, "", "it is damaged, or not one of trtpipe's");
    made++;
  }
  for (size_t length = 0; length < bytes.count; length += bytes.count / 3 + 1, made++) {
    write_bytes(cache, bytes.data, length);
    open_cached(3, "", "it is damaged");
  }
  CHECK_EQUAL(before + made, builds());
  open_cached(3, "", NULL);
  tp_free(bytes.data);
}

/* A whole entry whose plan TensorRT refuses is built anew as well. */
static void refused(void) {
  tp_trt_entry entry = {0};
  tp_text key = {0}, reason = {0};
  tp_bytes file, plan = {(uint8_t *)"no plan at all", 14};
  read_file(cache, &file);
  const char *text = (const char *)file.data + 56;
  tp_text_add(&key, "%.*s", (int)(strstr(text, "\nmax=") + 7 - text), text);
  CHECK(tp_trt_cache_read(cache, &key, &entry, &reason));
  tp_trt_entry_free(&entry);
  CHECK_EQUAL(TP_OK, tp_trt_cache_write(cache, &key, &plan));
  open_cached(3, "", "TensorRT refused the engine: [fake] Magic tag does not match");
  tp_free(file.data);
}

static int32_t open_engine(void) {
  char options[512];
  uint32_t model = 0;
  snprintf(options, sizeof options, "path=%s", engine);
  int32_t status = open_trt(options, NULL, 0, &model);
  if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_nothing_left();
  return status;
}

/* An engine that is named as the model: the cache's own file, or a bare plan. */
static void engines(void) {
  tp_bytes bytes;
  read_file(cache, &bytes);
  write_bytes(engine, bytes.data, bytes.count);
  CHECK_EQUAL(TP_OK, open_engine());
  bytes.data[bytes.count / 2] ^= 1;
  write_bytes(engine, bytes.data, bytes.count);
  CHECK_FAILS(TP_ERR_PARSE, "cannot use the engine \"", open_engine());
  CHECK_ERROR(": it is damaged");
  bytes.data[bytes.count / 2] ^= 1;
  tp_text other = {0};
  tp_bytes plan = {(uint8_t *)"plan", 4};
  tp_text_add(&other, "tensorrt=TensorRT 10.0.0\n");
  CHECK_EQUAL(TP_OK, tp_trt_cache_write(engine, &other, &plan));
  CHECK_FAILS(TP_ERR_PARSE, "its tensorrt is \"TensorRT 10.0.0\", and \"TensorRT", open_engine());
  uint32_t key_bytes;
  memcpy(&key_bytes, bytes.data + 12, sizeof key_bytes);
  write_bytes(engine, bytes.data + 56 + key_bytes, bytes.count - 56 - key_bytes);
  CHECK_EQUAL(TP_OK, open_engine());
  write_bytes(engine, (const uint8_t *)"junk", 4);
  CHECK_FAILS(TP_ERR_PARSE, "Magic tag does not match", open_engine());
  CHECK_EQUAL(0, unlink(engine));
  CHECK_FAILS(TP_ERR_OPEN, "No such file", open_engine());
  tp_free(bytes.data);
}

static void *open_one(void *unused) {
  (void)unused;
  char options[512];
  uint32_t model = 0;
  onnx_writer w = negation(3);
  snprintf(options, sizeof options, "backend=TensorrtTensor;cuda=%s;tensorrt=%s;host=%s;model::cache=%s",
           getenv("TRTPIPE_FAKE_CUDA"), getenv("TRTPIPE_FAKE_TRT"), program, cache);
  CHECK_EQUAL(TP_OK, open_model(options, w.model.data, w.model.length, &model));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  onnx_free(&w);
  return NULL;
}

/* Who comes while an engine is built waits for it. */
static void at_once(void) {
  pthread_t threads[4];
  int before = builds();
  CHECK_EQUAL(0, unlink(cache));
  for (int i = 0; i < 4; i++) CHECK_EQUAL(0, pthread_create(&threads[i], NULL, open_one, NULL));
  for (int i = 0; i < 4; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
  CHECK_EQUAL(before + 1, builds());
  check_nothing_left();
}

static void unwritable(void) {
  char options[512];
  onnx_writer w = negation(3);
  snprintf(options, sizeof options, "model::cache=%s/nowhere/engine", folder);
  CHECK_FAILS(TP_ERR_OPEN, "cannot use option \"model::cache\": the folder \"",
              open_trt(options, w.model.data, w.model.length, &(uint32_t){0}));
  CHECK_ERROR("No such file or directory");
  onnx_free(&w);
  check_nothing_left();
}

int main(void) {
  need_fakes();
  CHECK(mkdtemp(folder) != NULL);
  snprintf(cache, sizeof cache, "%s/model.trt", folder);
  snprintf(engine, sizeof engine, "%s/other.engine", folder);
  snprintf(program, sizeof program, "%s/host", folder);
  snprintf(count_file, sizeof count_file, "%s/count", folder);
  write_program();
  built_once();
  built_anew();
  damaged();
  refused();
  engines();
  at_once();
  unwritable();
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command) == 0 ? 0 : 1;
}
