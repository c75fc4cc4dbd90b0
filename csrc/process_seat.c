/* Bringing a child to the point where it has the model: for a model's description, and for each
 * replacement. */
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "process_instance.h"
#include "status.h"

int32_t tp_process_sit(const tp_process_model *model, tp_process_seat *seat) {
  if (seat->shared_file < 0) seat->shared_file = tp_shared_open();
  if (seat->shared_file < 0) return TP_ERR_MEMORY;
  return tp_child_start(&seat->child, &model->plan, seat->shared_file);
}

/* The model's file may have changed since it was described to our user. */
static int32_t check_same(const tp_child_plan *plan, const tp_reply *reply) {
  if (plan->packed == NULL) return TP_OK;
  uint32_t bytes = tp_wire_lasting_bytes(reply->payload, reply->bytes);
  if (bytes == plan->packed_bytes && memcmp(reply->payload, plan->packed, bytes) == 0) return TP_OK;
  return tp_fail(TP_ERR_PARSE, "the model is not the one that was opened: its description has changed");
}

int32_t tp_process_await_open(const tp_process_model *model, tp_process_seat *seat, tp_reply *reply) {
  tp_frame asked = {.kind = TP_WIRE_OPEN};
  tp_text why = {0};
  if (tp_child_receive(&seat->child, &asked, -1, reply) != TP_ANSWERED) {
    tp_child_lose(&seat->child, &why);
    return tp_fail(TP_ERR_PARSE, "the child process \"%s\" did not load the model: %s", model->plan.host,
                   why.text);
  }
  int32_t status = reply->status != TP_OK ? tp_reply_fail(reply) : check_same(&model->plan, reply);
  if (status == TP_OK) return TP_OK;
  tp_free(reply->payload);
  *reply = (tp_reply){0};
  tp_child_end(&seat->child);
  return status;
}

void tp_process_leave(tp_process_seat *seat) {
  tp_child_end(&seat->child);
  if (seat->shared_file >= 0) close(seat->shared_file);
  seat->shared_file = -1;
}
