/* Nothing is pinned any more when tp_instance_destroy returns, whoever else uses the handle just then. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "trt_fixture.h"

enum { COLUMNS = 8192, ITEM = COLUMNS * 4, ROUNDS = 100 };

static _Atomic uint32_t target;
static atomic_int stop;

/* Each interrupt holds the handle for a moment, and may so be the last who has it. */
static void *interrupt(void *argument) {
  (void)argument;
  while (!stop) tp_instance_interrupt(target);
  return NULL;
}

int main(void) {
  need_fakes();
  onnx_writer w = negation(COLUMNS);
  uint32_t model = 0;
  CHECK_EQUAL(TP_OK, open_trt("max=2", w.model.data, w.model.length, &model));
  onnx_free(&w);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) CHECK_EQUAL(0, pthread_create(&threads[i], NULL, interrupt, NULL));
  for (int round = 0; round < ROUNDS; round++) {
    fixture f = make_fixture(model, 2, 1, 2, (uint64_t[]){ITEM, ITEM});
    uint8_t *payload =
        mmap(NULL, f.payload_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(payload != MAP_FAILED);
    CHECK_EQUAL(TP_OK, tp_instance_bind_channel(f.instance, 1, payload, f.payload_bytes, FIXTURE_SLOTS));
    for (uint32_t row = 0; row < 2; row++) set_row(&f, row, 1, row);
    CHECK_EQUAL(TP_OK, tp_instance_run(f.instance, 2));
    CHECK_EQUAL(f.payload_bytes, pinned_bytes());
    target = f.instance;
    end_fixture(&f);
    CHECK_EQUAL(0, pinned_bytes());
    CHECK_EQUAL(0, munmap(payload, f.payload_bytes));
  }
  stop = 1;
  for (int i = 0; i < 2; i++) CHECK_EQUAL(0, pthread_join(threads[i], NULL));
  CHECK_EQUAL(TP_OK, tp_model_close(model));
  check_nothing_left();
  return 0;
}
