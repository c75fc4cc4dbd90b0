#include "process_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "memory.h"
#include "status.h"

uint64_t tp_wire_layout(void) {
  return (uint64_t)sizeof(tp_call) << 40 ^ (uint64_t)sizeof(tp_model_info) << 16 ^ sizeof(tp_frame);
}

int tp_wire_send(int fd, const tp_frame *frame, const void *payload) {
  struct iovec parts[2] = {{(void *)(uintptr_t)frame, sizeof *frame},
                           {(void *)(uintptr_t)payload, frame->bytes}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = frame->bytes > 0 ? 2 : 1};
  while (message.msg_iovlen > 0) {
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno;
    while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
      sent -= (ssize_t)message.msg_iov->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
    if (message.msg_iovlen == 0) break;
    message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
    message.msg_iov->iov_len -= (size_t)sent;
  }
  return 0;
}

void tp_wire_notify(int fd, const tp_frame *frame) {
  ssize_t sent = send(fd, frame, sizeof *frame, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)sent; /* whoever cannot hear it is ending, or has hung for longer than this could help */
}

/* Waits until there is something to read, or the other side is gone. */
static int await(int fd, double deadline_ms) {
  for (;;) {
    int timeout = -1;
    if (deadline_ms >= 0) {
      double left = deadline_ms - tp_clock_ms();
      /* Rounded up: a wait that ends too early would only be followed by another. */
      timeout = left <= 0 ? 0 : left > 1e9 ? 1000000000 : (int)left + 1;
    }
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int ready = poll(&one, 1, timeout);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
    if (ready == 0 && deadline_ms >= 0 && tp_clock_ms() >= deadline_ms) return ETIMEDOUT;
  }
}

int tp_wire_receive(int fd, void *to, size_t bytes, double deadline_ms) {
  for (size_t got = 0; got < bytes;) {
    int failed = await(fd, deadline_ms);
    if (failed != 0) return failed;
    ssize_t read = recv(fd, (char *)to + got, bytes - got, 0);
    if (read == 0) return ENODATA;
    if (read < 0 && errno != EINTR && errno != EAGAIN) return errno;
    if (read > 0) got += (size_t)read;
  }
  return 0;
}

#define TEXTS_MAX (TP_MAX_TENSORS + 3)

/* Engine, library, names and note, in this order, each with its NUL, follow the struct. No note is "". */
static uint32_t texts_of(const tp_model_info *info, const char *texts[TEXTS_MAX]) {
  uint32_t count = 0;
  texts[count++] = info->engine;
  texts[count++] = info->library;
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) texts[count++] = info->tensors[k].name;
  texts[count++] = info->note != NULL ? info->note : "";
  return count;
}

static void forget_texts(tp_model_info *info) {
  info->engine = info->library = info->note = NULL;
  for (uint32_t k = 0; k < TP_MAX_TENSORS; k++) info->tensors[k].name = NULL;
}

char *tp_wire_pack_info(const tp_model_info *info, uint32_t *bytes) {
  const char *texts[TEXTS_MAX];
  uint32_t count = texts_of(info, texts);
  size_t all = sizeof *info;
  for (uint32_t i = 0; i < count; i++) all += strlen(texts[i]) + 1;
  char *packed = all <= UINT32_MAX ? tp_alloc(all) : NULL;
  if (packed == NULL) return NULL;
  tp_model_info plain;
  memcpy(&plain, info, sizeof plain);
  forget_texts(&plain);
  memcpy(packed, &plain, sizeof plain);
  char *to = packed + sizeof plain;
  for (uint32_t i = 0; i < count; i++) {
    size_t length = strlen(texts[i]) + 1;
    memcpy(to, texts[i], length);
    to += length;
  }
  *bytes = (uint32_t)all;
  return packed;
}

static bool plausible(const tp_model_info *info) {
  if (info->inputs == 0 || info->outputs == 0 || info->inputs > TP_MAX_TENSORS ||
      info->outputs > TP_MAX_TENSORS - info->inputs || info->batch_size == 0) {
    return false;
  }
  for (uint32_t k = 0; k < info->inputs + info->outputs; k++) {
    if (info->tensors[k].rank < -1 || info->tensors[k].rank > TP_MAX_RANK) return false;
  }
  return true;
}

/* The next text, copied; NULL if there is none or no memory for it. */
static char *next_text(const char **at, const char *end) {
  const char *stop = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;
  if (stop == NULL) return NULL;
  char *copy = tp_copy(*at, (size_t)(stop - *at));
  *at = stop + 1;
  return copy;
}

uint32_t tp_wire_lasting_bytes(const char *packed, uint32_t bytes) {
  uint32_t at = bytes > 0 ? bytes - 1 : 0;
  while (at > sizeof(tp_model_info) && packed[at - 1] != '\0') at--;
  return at;
}

int32_t tp_wire_unpack_info(const char *packed, uint32_t bytes, tp_model_info *info) {
  const char *at = packed + sizeof *info, *end = packed + bytes;
  if (bytes >= sizeof *info) memcpy(info, packed, sizeof *info);
  if (bytes < sizeof *info || !plausible(info)) {
    *info = (tp_model_info){0};
    return tp_fail(TP_ERR_INTERNAL, "cannot read the child process's description of the model");
  }
  forget_texts(info);
  bool whole = (info->engine = next_text(&at, end)) != NULL && (info->library = next_text(&at, end)) != NULL;
  for (uint32_t k = 0; whole && k < info->inputs + info->outputs; k++) {
    info->tensors[k].name = next_text(&at, end);
    whole = info->tensors[k].name != NULL;
  }
  whole = whole && (info->note = next_text(&at, end)) != NULL;
  if (whole && info->note[0] == '\0') {
    tp_free(info->note);
    info->note = NULL;
  }
  return whole ? TP_OK : TP_ERR_MEMORY;
}
