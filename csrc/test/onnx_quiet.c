/* A process with ONNX Runtime in it does what it is asked to and no more: no thread, no file, no time. */
#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

static int entries(const char *folder, int shown) {
  DIR *open_folder = opendir(folder);
  CHECK(open_folder != NULL);
  int count = 0;
  for (const struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    count++;
    char path[512], target[512] = "";
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (shown && readlink(path, target, sizeof target - 1) >= 0) printf("%s -> %s\n", path, target);
  }
  closedir(open_folder);
  return count;
}

static double cpu_ms(void) {
  struct rusage used;
  CHECK_EQUAL(0, getrusage(RUSAGE_SELF, &used));
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static uint32_t negation(const char *options) {
  onnx_writer w = {0};
  uint32_t model = 0;
  onnx_input(&w, "x", TP_F32, 2, (int64_t[]){-1, 40000});
  onnx_output(&w, "y", TP_F32, 2, (int64_t[]){-1, 40000});
  onnx_node(&w, "Exp", "x", "y");
  onnx_finish(&w);
  CHECK_EQUAL(TP_OK, open_onnx(options, w.model.data, w.model.length, &model));
  onnx_free(&w);
  return model;
}

static void *nothing(void *unused) { return unused; }

int main(void) {
  need_onnxruntime();
  /* A sanitizer starts a thread of its own along with a program's first. */
  pthread_t thread;
  CHECK_EQUAL(0, pthread_create(&thread, NULL, nothing, NULL));
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  int threads = entries("/proc/self/task", 0), files = entries("/proc/self/fd", 0);
  uint32_t one = negation("");
  CHECK_EQUAL(threads, entries("/proc/self/task", 0));
  if (entries("/proc/self/fd", 0) != files) {
    entries("/proc/self/fd", 1);
    FAIL("ONNX Runtime keeps files open");
  }

  /* Two threads compute together; a moment after their last run they use no time. */
  uint32_t two = negation("threads=2");
  CHECK_EQUAL(threads + 1, entries("/proc/self/task", 0));
  fixture f = make_fixture(two, 4, 1, 2, (uint64_t[]){160000, 160000});
  for (uint32_t slot = 0; slot < 4; slot++) {
    memset(slot_data(&f, 0, slot, 0), 0, 160000);
    set_row(&f, slot, 0, slot);
  }
  for (int i = 0; i < 50; i++) CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 4));
  /* Less than a hundredth of a core. A busy machine may need some time to let the threads come to rest. */
  double used = 1000;
  for (int second = 0; second < 10 && used >= 10; second++) {
    double before = cpu_ms();
    sleep_us(1000000);
    used = cpu_ms() - before;
  }
  if (used >= 10) FAIL("an idle instance used %g ms of a second", used);
  end_fixture(&f);
  CHECK_EQUAL(TP_OK, tp_model_close(two));
  CHECK_EQUAL(TP_OK, tp_model_close(one));
  CHECK_EQUAL(threads, entries("/proc/self/task", 0));
  return 0;
}
