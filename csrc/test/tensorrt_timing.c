/* What TensorRT measured, kept beside an engine: whatever fails of it is told, leaves nothing, and the next
 * build goes well. */
#include <dirent.h>
#include <unistd.h>

#include "../memory.h"
#include "trt_fixture.h"

static char folder[] = "/tmp/trtpipe-timing-XXXXXX";
static char cache[64], timing[64];

/* Whether the failure of memory that was ordered has come to pass while the model was opened. */
static bool happened;

/* Builds the engine anew and runs a row of it. */
static int32_t build(void) {
  char options[128];
  uint32_t model = 0;
  onnx_writer w = negation(2);
  unlink(cache);
  snprintf(options, sizeof options, "model::cache=%s", cache);
  int32_t status = open_trt(options, w.model.data, w.model.length, &model);
  happened = !tp_alloc_fail_pending();
  tp_alloc_fail_at(0);
  onnx_free(&w);
  if (status != TP_OK) return status;
  fixture f = make_fixture(model, 1, 1, 2, (uint64_t[]){8, 8});
  set_row(&f, 0, 0, 0);
  memcpy(slot_data(&f, 0, 0, 0), (float[]){3, 4}, 8);
  CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 1));
  CHECK(((float *)slot_data(&f, 0, 0, 1))[1] == -4);
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  return TP_OK;
}

/* Nothing but the files that are kept. */
static void check_clean(void) {
  DIR *dir = opendir(folder);
  CHECK(dir != NULL);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    bool kept = entry->d_name[0] == '.' || strcmp(entry->d_name, "model.trt") == 0 ||
                strcmp(entry->d_name, "model.trt.lock") == 0 ||
                strcmp(entry->d_name, "model.trt.timing") == 0;
    if (!kept) FAIL("%s was left behind", entry->d_name);
  }
  closedir(dir);
  check_nothing_left();
}

/* In the program that builds, with and without a file of an earlier build. */
static void calls(void) {
  static const struct {
    const char *name;
    int32_t first, later; /* without such a file, and with one */
    const char *says;
  } cases[] = {
      {"createTimingCache", TP_ERR_UNSUPPORTED, TP_OK, "cannot keep what TensorRT measures: [fake] createT"},
      {"setTimingCache", TP_ERR_UNSUPPORTED, TP_OK, "cannot keep what TensorRT measures: [fake] setTiming"},
      {"serialize", TP_ERR_UNSUPPORTED, TP_ERR_UNSUPPORTED, "what TensorRT measured: [fake] serialize was"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int known = 0; known < 2; known++) {
      int32_t expected = known ? cases[i].later : cases[i].first;
      if (known) CHECK_EQUAL(0, access(timing, R_OK));
      else unlink(timing);
      fail_build(cases[i].name);
      int32_t status = build();
      fail_build(NULL);
      if (status != expected) FAIL("%s, known %d: %d", cases[i].name, known, status);
      if (status != TP_OK) CHECK_ERROR(cases[i].says);
      check_clean();
      CHECK_EQUAL(TP_OK, build());
      check_clean();
    }
  }
}

/* Each request for memory of our own: where only the file cannot be used, the engine is built without it. */
static void memory(void) {
  int told = 0;
  happened = true;
  for (uint64_t n = 1; happened; n++) {
    tp_alloc_fail_at(n);
    int32_t status = build();
    if (status != TP_OK) {
      CHECK_EQUAL(TP_ERR_MEMORY, status);
      CHECK_ERROR("cannot get ");
      told++;
    }
    check_clean();
    if (n == 300) FAIL("memory never stops failing");
  }
  CHECK(told > 10);
  CHECK_EQUAL(TP_OK, build());
  check_clean();
}

int main(void) {
  need_fakes();
  CHECK(mkdtemp(folder) != NULL);
  snprintf(cache, sizeof cache, "%s/model.trt", folder);
  snprintf(timing, sizeof timing, "%s/model.trt.timing", folder);
  calls();
  memory();
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command) == 0 ? 0 : 1;
}
