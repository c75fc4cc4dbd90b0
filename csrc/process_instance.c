/*
 * Making an instance, and keeping a child in its seat: a child that dies is replaced, at once when the one
 * before had answered a run, else after a while that doubles; five that die without a single answered run
 * between them are the end of the instance. Runs are process_run.c.
 */
#include "process_instance.h"

#include <string.h>
#include <time.h>

#include "memory.h"
#include "process_run.h"
#include "status.h"

/* Deaths in a row after which an instance is given up. */
#define DEATH_LIMIT 5
#define FIRST_BACKOFF_MS 20

/* Asks the child for its instance, without waiting. */
static void ask_to_create(tp_process *x) {
  tp_create_message create = {.call_bytes = x->call_region.bytes, .capacity = x->capacity};
  tp_frame frame = {.kind = TP_WIRE_CREATE, .bytes = sizeof create};
  /* A child that is gone is noticed where its answer is awaited. */
  tp_child_send(&x->seat.child, &frame, &create);
}

/* `gone`: the child ended without an answer. */
static int32_t await_created(tp_process *x, bool *gone) {
  tp_frame asked = {.kind = TP_WIRE_CREATE};
  tp_reply reply;
  tp_text why = {0};
  *gone = tp_child_receive(&x->seat.child, &asked, -1, &reply) != TP_ANSWERED;
  if (*gone) {
    tp_child_lose(&x->seat.child, &why);
    return tp_fail(TP_ERR_PARSE, "the child process did not make its instance: %s", why.text);
  }
  int32_t status = reply.status != TP_OK ? tp_reply_fail(&reply) : TP_OK;
  if (status != TP_OK) tp_child_end(&x->seat.child);
  tp_free(reply.payload);
  return status;
}

/* Starts a child; it loads while we do something else. */
static int32_t begin(tp_process *x) {
  tp_process_seat seat = {.shared_file = x->seat.shared_file};
  int32_t status = tp_process_sit(x->model, &seat);
  if (status != TP_OK) return status;
  pthread_mutex_lock(&x->lock);
  x->seat = seat;
  pthread_mutex_unlock(&x->lock);
  x->opened = x->created = false;
  ask_to_create(x);
  return TP_OK;
}

/* Waits for what a child that was begun still owes. */
static int32_t complete(tp_process *x) {
  int32_t status = TP_OK;
  if (!x->opened) {
    tp_reply reply;
    status = tp_process_await_open(x->model, &x->seat, &reply);
    if (status == TP_OK) tp_free(reply.payload);
  }
  x->opened = status == TP_OK;
  bool gone;
  if (status == TP_OK && !x->created) status = await_created(x, &gone);
  x->created = status == TP_OK;
  return status;
}

static void note_death(tp_process *x) {
  uint32_t pause = x->deaths == 0 ? 0 : FIRST_BACKOFF_MS << (x->deaths - 1);
  x->deaths++;
  x->not_before_ms = tp_clock_ms() + pause;
}

static void sleep_until(double ms) {
  for (double left; (left = ms - tp_clock_ms()) > 0;) {
    struct timespec time = {(time_t)(left / 1e3), (long)(left * 1e6) % 1000000000};
    nanosleep(&time, NULL);
  }
}

int32_t tp_process_hopeless(const tp_process *x) {
  return tp_fail(
      TP_ERR_DEAD,
      "the instance is given up: %d child processes in a row ended without an answer, the last one: "
      "%s",
      DEATH_LIMIT, x->last_end);
}

int32_t tp_process_ready(tp_process *x) {
  if (x->created) return TP_OK;
  if (x->deaths >= DEATH_LIMIT) return tp_process_hopeless(x);
  int32_t status = TP_OK;
  if (x->seat.child.pid == 0) {
    sleep_until(x->not_before_ms);
    status = begin(x);
  }
  if (status == TP_OK) status = complete(x);
  if (status == TP_OK) return TP_OK;
  tp_last_error(x->last_end, sizeof x->last_end);
  note_death(x);
  if (x->deaths >= DEATH_LIMIT) return tp_process_hopeless(x);
  return tp_fail(TP_ERR_LOST, "cannot replace the child process: %s", x->last_end);
}

void tp_process_lose(tp_process *x) {
  pthread_mutex_lock(&x->lock);
  tp_child child = x->seat.child;
  x->seat.child = (tp_child){0};
  pthread_mutex_unlock(&x->lock);
  tp_text why = {0};
  tp_child_lose(&child, &why);
  memcpy(x->last_end, why.text, sizeof x->last_end - 1);
  x->opened = x->created = false;
  note_death(x);
}

void tp_process_replace_early(tp_process *x) {
  if (x->deaths != 1) return;
  /* What keeps it from starting is said by the next run, which tries again. */
  int32_t ignored = begin(x);
  (void)ignored;
}

/* Takes the child that described the model, or starts one. */
static int32_t take_seat(tp_process *x) {
  pthread_mutex_lock(&x->model->lock);
  x->seat = x->model->spare;
  x->model->spare = (tp_process_seat){.shared_file = -1};
  pthread_mutex_unlock(&x->model->lock);
  if (x->seat.shared_file < 0) x->seat.shared_file = tp_shared_open();
  if (x->seat.shared_file < 0) return TP_ERR_MEMORY;
  uint64_t bytes = sizeof(tp_call) + (uint64_t)x->capacity * sizeof(int32_t);
  int32_t status = tp_region_grow(x->seat.shared_file, &x->file_end, &x->call_region, bytes);
  if (status != TP_OK) return status;
  if (tp_child_alive(&x->seat.child)) {
    bool gone;
    ask_to_create(x);
    status = await_created(x, &gone);
    x->opened = x->created = status == TP_OK;
    if (!gone) return status;
  }
  /* There was none, or it has died since: the thread that started it ended, or somebody killed it. Making an
   * instance changes nothing outside the child, so another one may be asked. */
  tp_child_end(&x->seat.child);
  status = begin(x);
  return status == TP_OK ? complete(x) : status;
}

int32_t tp_process_create(void *model, const tp_model_info *info, uint32_t capacity, void **instance) {
  tp_process *x = tp_alloc(sizeof *x);
  if (x == NULL) return TP_ERR_MEMORY;
  x->model = model;
  x->info = info;
  x->capacity = capacity;
  x->seat.shared_file = -1;
  pthread_mutex_init(&x->lock, NULL);
  int32_t status = take_seat(x);
  if (status == TP_OK) *instance = x;
  else tp_process_destroy(x);
  return status;
}

int32_t tp_process_stage(void *instance, uint32_t k, uint64_t bytes, uint8_t **memory) {
  tp_process *x = instance;
  int32_t status = tp_region_grow(x->seat.shared_file, &x->file_end, &x->regions[k], bytes);
  *memory = status == TP_OK ? x->regions[k].data : NULL;
  return status;
}

void tp_process_destroy(void *instance) {
  tp_process *x = instance;
  tp_process_leave(&x->seat);
  tp_region_unmap(&x->call_region);
  tp_region_unmap(&x->native);
  for (uint32_t k = 0; k < TP_MAX_TENSORS; k++) tp_region_unmap(&x->regions[k]);
  pthread_mutex_destroy(&x->lock);
  tp_free(x);
}
