/* One run of Process[X]: the call block out, a frame each way, the outputs back. */
#include "process_run.h"

#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "model_info.h"
#include "status.h"

static tp_call *call_of(const tp_process *x) { return (tp_call *)(void *)x->call_region.data; }

/* The inputs lie in their regions already: run.c gathered them there (tp_process_stage). */
static void write_call(tp_process *x, const tp_run *run) {
  tp_call *call = call_of(x);
  call->rows = run->rows;
  call->run_rows = run->run_rows;
  call->file_end = x->file_end;
  call->native_offset = x->native.offset;
  call->native_bytes = x->native.bytes;
  for (uint32_t k = 0; k < x->info->inputs + x->info->outputs; k++) {
    tp_call_tensor *tensor = &call->tensors[k];
    bool placed = run->data[k] != NULL;
    tensor->offset = placed ? x->regions[k].offset : 0;
    tensor->region_bytes = placed ? x->regions[k].bytes : 0;
    tensor->item_bytes = run->item_bytes[k];
    tensor->rank = run->rank[k];
    memcpy(tensor->dims, run->dims[k], sizeof tensor->dims);
  }
}

static void tell_to_stop(const tp_process *x) {
  tp_frame frame = {.kind = TP_WIRE_INTERRUPT, .sequence = x->sequence};
  tp_wire_notify(x->seat.child.control, &frame);
}

void tp_process_interrupt(void *instance) {
  tp_process *x = instance;
  pthread_mutex_lock(&x->lock);
  x->wanted = true;
  if (x->running && x->seat.child.pid != 0) tell_to_stop(x);
  pthread_mutex_unlock(&x->lock);
}

void tp_process_resume(void *instance) {
  tp_process *x = instance;
  pthread_mutex_lock(&x->lock);
  x->wanted = false;
  pthread_mutex_unlock(&x->lock);
}

static void set_running(tp_process *x, bool running) {
  pthread_mutex_lock(&x->lock);
  x->running = running;
  if (running) x->sequence++;
  /* It may be asked to stop before it has heard of the run: the sequence tells it which one is meant. */
  if (running && x->wanted) tell_to_stop(x);
  pthread_mutex_unlock(&x->lock);
}

static tp_answer ask(tp_process *x, tp_reply *reply) {
  *reply = (tp_reply){0};
  set_running(x, true);
  tp_frame frame = {.kind = TP_WIRE_RUN, .sequence = x->sequence};
  tp_answer answer = tp_child_send(&x->seat.child, &frame, NULL);
  double timeout_ms = x->model->run_timeout_ms;
  if (answer == TP_ANSWERED) {
    answer =
        tp_child_receive(&x->seat.child, &frame, timeout_ms > 0 ? tp_clock_ms() + timeout_ms : -1, reply);
  }
  set_running(x, false);
  return answer;
}

/* The batch is lost, and the child with it. `what` says what became of the run. */
static int32_t lose(tp_process *x, const char *what) {
  tp_process_lose(x);
  char end[sizeof x->last_end];
  memcpy(end, x->last_end, sizeof end);
  tp_process_replace_early(x);
  return tp_fail(TP_ERR_LOST, "%s: %s", what, end);
}

/* One output that the engine placed, copied out of the shared memory: the next run writes over it. */
static int32_t take_output(tp_process *x, uint32_t k, tp_native_output *output) {
  tp_call_output told;
  memcpy(&told, &call_of(x)->outputs[k], sizeof told);
  bool sound = told.rank >= 0 && told.rank <= TP_MAX_RANK && told.bytes <= x->native.bytes &&
               told.offset <= x->native.bytes - told.bytes;
  uint64_t bytes = 0;
  for (int32_t d = 0; sound && d < told.rank; d++) sound = told.dims[d] >= 0;
  sound =
      sound && tp_item_bytes(x->info->tensors[k].dtype, told.rank, told.dims, &bytes) && bytes == told.bytes;
  if (!sound) return TP_ERR_INTERNAL;
  uint8_t *copy = tp_alloc_staging((size_t)bytes);
  if (copy == NULL) return TP_ERR_MEMORY;
  if (bytes > 0) memcpy(copy, x->native.data + told.offset, (size_t)bytes);
  *output = (tp_native_output){.data = copy, .owner = copy, .rank = told.rank};
  memcpy(output->dims, told.dims, sizeof output->dims);
  return TP_OK;
}

static int32_t map_native(tp_process *x) {
  const tp_call *call = call_of(x);
  uint64_t offset = call->native_offset, bytes = call->native_bytes, end = call->file_end;
  if (offset == x->native.offset && bytes == x->native.bytes) return TP_OK;
  if (offset < x->file_end || end < offset || end - offset != bytes) return TP_ERR_INTERNAL;
  int32_t status = tp_region_map(x->seat.shared_file, &x->native, offset, bytes);
  if (status == TP_OK) x->file_end = end;
  return status;
}

/* All outputs of the backend's own, or none. */
static int32_t take_outputs(tp_process *x, tp_run *run) {
  uint32_t first = x->info->inputs, end = first + x->info->outputs;
  bool any = false;
  for (uint32_t k = first; k < end; k++) any = any || run->data[k] == NULL;
  int32_t status = any ? map_native(x) : TP_OK;
  for (uint32_t k = first; status == TP_OK && k < end; k++) {
    if (run->data[k] != NULL) continue;
    status = take_output(x, k, &run->native[k]);
    if (status == TP_OK) continue;
    for (uint32_t done = first; done < k; done++) {
      if (run->data[done] == NULL) tp_free(run->native[done].owner);
    }
  }
  return status;
}

/* The rows' own statuses; false if one is none, or says that the device is lost. */
static bool take_row_status(const tp_process *x, tp_run *run, bool *device_lost) {
  for (uint32_t row = 0; row < run->rows; row++) {
    int32_t status = call_of(x)->row_status[row];
    if (status > TP_OK || status < TP_ERR_INTERNAL) return false;
    if (status == TP_ERR_DEVICE) *device_lost = true;
    run->row_status[row] = status;
  }
  return true;
}

static int32_t take_answer(tp_process *x, tp_run *run, const tp_reply *reply) {
  int32_t status = reply->status;
  bool device_lost = status == TP_ERR_DEVICE, sound = true;
  if (status == TP_ERR_ROWS) sound = take_row_status(x, run, &device_lost);
  if (sound && device_lost) {
    /* A lost device is lost for its process: a new one finds it anew, or cannot start. */
    char what[512];
    snprintf(what, sizeof what, "%.300s; the child process that used the device is replaced",
             reply->bytes > 0 ? reply->payload : "the device was lost");
    return lose(x, what);
  }
  if (sound && (status == TP_OK || status == TP_ERR_ROWS)) {
    int32_t taken = take_outputs(x, run);
    if (taken == TP_ERR_INTERNAL) sound = false;
    else if (taken != TP_OK) return taken;
  }
  if (!sound) return lose(x, "the child process answered nonsense");
  x->deaths = 0;
  return status == TP_OK ? TP_OK : tp_reply_fail(reply);
}

int32_t tp_process_run(void *instance, tp_run *run) {
  tp_process *x = instance;
  for (;;) {
    int32_t status = tp_process_ready(x);
    if (status != TP_OK) return status;
    write_call(x, run);
    tp_reply reply;
    tp_answer answer = ask(x, &reply);
    if (answer == TP_ANSWERED) {
      status = take_answer(x, run, &reply);
      tp_free(reply.payload);
      return status;
    }
    if (answer == TP_UNREACHED) {
      /* It died while it had nothing to do, and has seen nothing of this batch: the next child runs it. */
      tp_process_lose(x);
      continue;
    }
    if (answer == TP_GONE) return lose(x, "the child process that ran the batch ended");
    char what[128];
    snprintf(what, sizeof what, "the child process gave no answer within run_timeout, %u ms",
             x->model->run_timeout_ms);
    return lose(x, what);
  }
}
