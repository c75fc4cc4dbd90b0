/* A thousand replaced processes leave nothing behind; several instances at once do not disturb each other. */
#include "process_fixture.h"

#include <pthread.h>
#include <sys/mman.h>

enum { REPLACEMENTS = 1000 };

/* AddressSanitizer keeps freed memory for a while, which would look like growth. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=1"; }

/* Resident memory of this process, in bytes. */
static long resident(void) {
  long pages = 0, shown = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%ld %ld", &shown, &pages) == 2);
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static int mapping_count(void) {
  int count = 0, c;
  FILE *file = fopen("/proc/self/maps", "r");
  CHECK(file != NULL);
  while ((c = getc(file)) != EOF) count += c == '\n';
  fclose(file);
  return count;
}

static void replaced(void) {
  fixture f = start_fault("");
  int descriptors = 0, mappings = 0;
  long memory = 0;
  for (int i = 0; i < REPLACEMENTS; i++) {
    check_answers(&f, (float)i);
    /* All ways of losing one, and outputs of all kinds between them. */
    if (i % 3 == 0) kill_child(only_child());
    else CHECK_EQUAL(TP_ERR_LOST, ask(&f, i % 3 == 1 ? TP_FAULT_EXIT : TP_FAULT_DEVICE_LOST, 0));
    if (i == REPLACEMENTS / 10) {
      check_answers(&f, 1);
      descriptors = descriptor_count();
      mappings = mapping_count();
      memory = resident();
    }
  }
  check_answers(&f, 1);
  CHECK_EQUAL(descriptors, descriptor_count());
  /* Allocators may map one or two arenas more, not one for each child. */
  CHECK(mapping_count() <= mappings + 20);
  CHECK(resident() - memory < 8 << 20);
  finish_process(&f);
}

typedef struct worker {
  fixture f;
  int answered, lost;
} worker;

static void *work(void *argument) {
  worker *w = argument;
  for (int i = 0; i < 30; i++) {
    if (i % 10 == 9) {
      CHECK_EQUAL(TP_ERR_LOST, ask(&w->f, TP_FAULT_ABORT, 0));
      w->lost++;
    } else {
      check_answers(&w->f, (float)i);
      w->answered++;
    }
  }
  return NULL;
}

static void side_by_side(void) {
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_process("Fault;shape=4", NULL, 0, &model));
  worker workers[4];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) workers[i] = (worker){.f = make_fixture(model, 4, 1, 2, (uint64_t[]){16, 16})};
  for (int i = 0; i < 4; i++) CHECK_EQUAL(0, pthread_create(&threads[i], NULL, work, &workers[i]));
  for (int i = 0; i < 4; i++) {
    CHECK_EQUAL(0, pthread_join(threads[i], NULL));
    CHECK_EQUAL(27, workers[i].answered);
    CHECK_EQUAL(3, workers[i].lost);
  }
  /* The children ended with their threads; whoever runs the instance next gets another one. */
  check_answers(&workers[0].f, 1);
  for (int i = 0; i < 3; i++) end_fixture(&workers[i].f);
  finish_process(&workers[3].f);
}

int main(void) {
  char reports[32];
  watch_children(reports, 1);
  side_by_side();
  replaced();
  check_children(reports);
  return 0;
}
