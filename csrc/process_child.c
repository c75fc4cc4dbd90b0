#include "process_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "process_reap.h"
#include "process_spawn.h"
#include "status.h"

/* An answer is a text or a model's description; more is nonsense. */
#define PAYLOAD_BYTES_MAX (16u << 20)
/* How long a child may take to give back what it has, before it is killed. */
#define LEAVE_MS 2000
/* How long after its end of file a child may still be on its way out: the kernel takes its memory first. */
#define REAP_MS 1000

static void close_all(tp_child *child) {
  close(child->work);
  close(child->control);
  if (child->errors >= 0) close(child->errors);
}

static int32_t ask_to_open(tp_child *child, const tp_child_plan *plan) {
  tp_open_message open = {.layout = tp_wire_layout(), .has_model = plan->model_file >= 0};
  snprintf(open.version, sizeof open.version, "%s", TRTPIPE_VERSION);
  size_t bytes = sizeof open + plan->options_bytes;
  char *payload = tp_alloc(bytes);
  if (payload == NULL) return TP_ERR_MEMORY;
  memcpy(payload, &open, sizeof open);
  memcpy(payload + sizeof open, plan->options, plan->options_bytes);
  tp_frame frame = {.kind = TP_WIRE_OPEN, .bytes = (uint32_t)bytes};
  /* A child that is gone already is noticed where its answer is awaited, with its reason. */
  tp_wire_send(child->work, &frame, payload);
  tp_free(payload);
  return TP_OK;
}

int32_t tp_child_start(tp_child *child, const tp_child_plan *plan, int shared_file) {
  int32_t status = tp_spawn(plan->host, shared_file, plan->model_file, child);
  if (status != TP_OK) return status;
  status = ask_to_open(child, plan);
  if (status == TP_OK) return TP_OK;
  tp_text ignored = {0};
  tp_child_lose(child, &ignored);
  return status;
}

tp_answer tp_child_send(tp_child *child, const tp_frame *frame, const void *payload) {
  int failed = tp_wire_send(child->work, frame, payload);
  if (failed == 0) return TP_ANSWERED;
  return failed == EPIPE || failed == ECONNRESET ? TP_UNREACHED : TP_GONE;
}

int32_t tp_reply_fail(const tp_reply *reply) {
  if (reply->payload != NULL) return tp_fail(reply->status, "%s", reply->payload);
  if (reply->status == TP_ERR_MEMORY) return reply->status;
  return tp_fail(reply->status, "the child process failed with status %d", reply->status);
}

/* Reads a payload past, so that the next answer begins where it is looked for. */
static int skip(const tp_child *child, uint32_t bytes, double deadline_ms) {
  char dropped[1024];
  int failed = 0;
  while (failed == 0 && bytes > 0) {
    uint32_t part = bytes < sizeof dropped ? bytes : (uint32_t)sizeof dropped;
    failed = tp_wire_receive(child->work, dropped, part, deadline_ms);
    bytes -= part;
  }
  return failed;
}

tp_answer tp_child_receive(tp_child *child, const tp_frame *asked, double deadline_ms, tp_reply *reply) {
  *reply = (tp_reply){0};
  tp_frame frame;
  int failed = tp_wire_receive(child->work, &frame, sizeof frame, deadline_ms);
  /* The question lies unread in the child's socket: the kernel says so when it closes it. */
  if (failed == ECONNRESET) return TP_UNREACHED;
  if (failed == 0 && (frame.kind != asked->kind || frame.sequence != asked->sequence ||
                      frame.bytes > PAYLOAD_BYTES_MAX || frame.status > TP_OK)) {
    return TP_GONE;
  }
  if (failed == 0 && frame.bytes > 0) {
    reply->payload = tp_alloc((size_t)frame.bytes + 1);
    failed = reply->payload != NULL ? tp_wire_receive(child->work, reply->payload, frame.bytes, deadline_ms)
                                    : skip(child, frame.bytes, deadline_ms);
  }
  if (failed != 0) {
    tp_free(reply->payload);
    *reply = (tp_reply){0};
    return failed == ETIMEDOUT ? TP_LATE : TP_GONE;
  }
  bool whole = frame.bytes == 0 || reply->payload != NULL;
  reply->status = whole ? frame.status : TP_ERR_MEMORY;
  reply->bytes = whole ? frame.bytes : 0;
  return TP_ANSWERED;
}

void tp_child_end(tp_child *child) {
  if (child->pid == 0) return;
  /* End of file on `work` asks it to leave; that on `control`, from its side, says that it has. */
  shutdown(child->work, SHUT_RDWR);
  char none;
  tp_wire_receive(child->control, &none, 1, tp_clock_ms() + LEAVE_MS);
  int how = 0;
  if (tp_reap(child->pid, 20, &how) == 0) tp_kill(child->pid);
  close_all(child);
  *child = (tp_child){0};
}

static void tell_end(int how, tp_text *why) {
  if (WIFSIGNALED(how)) {
    tp_text_add(why, "it was ended by signal %d (%s)", WTERMSIG(how), strsignal(WTERMSIG(how)));
  } else {
    tp_text_add(why, "it ended with exit code %d", WEXITSTATUS(how));
  }
}

/* The end of what it wrote while it was loading, as one line. */
static void tell_errors(int file, tp_text *why) {
  char text[1024];
  off_t bytes = lseek(file, 0, SEEK_END);
  off_t from = bytes > (off_t)sizeof text ? bytes - (off_t)sizeof text : 0;
  ssize_t got = bytes > 0 ? pread(file, text, sizeof text, from) : 0;
  while (got > 0 && (unsigned char)text[got - 1] <= ' ') got--;
  for (ssize_t i = 0; i < got; i++) {
    if ((unsigned char)text[i] < ' ') text[i] = ' ';
  }
  if (got > 0) tp_text_add(why, "; it said: %.*s", (int)got, text);
}

bool tp_child_alive(const tp_child *child) {
  /* Its side of `control` closes when it ends, and not before. */
  struct pollfd one = {.fd = child->control, .events = POLLIN};
  return child->pid != 0 && !(poll(&one, 1, 0) > 0 && (one.revents & POLLHUP) != 0);
}

void tp_child_lose(tp_child *child, tp_text *why) {
  if (child->pid == 0) return;
  int how = 0;
  int reaped = tp_reap(child->pid, tp_child_alive(child) ? 0 : REAP_MS, &how);
  if (reaped == 1) {
    tell_end(how, why);
  } else if (reaped == 0) {
    tp_kill(child->pid);
    tp_text_add(why, "it was killed");
  } else {
    tp_text_add(why, "it ended, and somebody else asked how");
  }
  if (child->errors >= 0) tell_errors(child->errors, why);
  close_all(child);
  *child = (tp_child){0};
}
