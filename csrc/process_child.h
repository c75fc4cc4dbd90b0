/*
 * The child process of one instance, from the parent's side: starting it, asking it, ending it. A child is
 * used by one thread at a time, but for tp_child_interrupt.
 */
#ifndef TP_PROCESS_CHILD_H
#define TP_PROCESS_CHILD_H

#include <sys/types.h>

#include "process_wire.h"
#include "text.h"

/* What a child is started with; the same for all children of a model. */
typedef struct tp_child_plan {
  char *host;    /* path of the program */
  char *options; /* of the inner backend, as in tp_model_open */
  uint32_t options_bytes;
  int model_file; /* the model's bytes; -1: its path is among the options */
  char *packed;   /* what the first child said of the model (tp_wire_pack_info); NULL before */
  uint32_t packed_bytes;
} tp_child_plan;

/* {0} is no child. */
typedef struct tp_child {
  pid_t pid;         /* 0: none */
  int work, control; /* our ends of the socket pairs */
  int errors;        /* what it wrote to stderr while it was loading */
} tp_child;

/* How a question ended. */
typedef enum tp_answer {
  TP_ANSWERED,  /* the answer is there, a status and a text of the child's own included */
  TP_UNREACHED, /* the child ended without having read the question */
  TP_GONE,      /* it ended, or answered nonsense */
  TP_LATE       /* the deadline passed */
} tp_answer;

typedef struct tp_reply {
  int32_t status; /* MEMORY, with the last error set, also where there was none for the payload */
  char *payload;  /* NUL-terminated; the asker frees it (NULL: there is none) */
  uint32_t bytes;
} tp_reply;

/* Sets the last error to what the reply says, and returns its status, which is not TP_OK. */
int32_t tp_reply_fail(const tp_reply *reply);

/* Starts the program and asks it to open the model, without waiting for it. Errors: LIBRARY (the program
 * cannot be started), MEMORY. */
int32_t tp_child_start(tp_child *child, const tp_child_plan *plan, int shared_file);

/* Sends a question; errors as TP_ANSWERED (it was sent), TP_UNREACHED or TP_GONE. */
tp_answer tp_child_send(tp_child *child, const tp_frame *frame, const void *payload);
/* Waits for the answer to it. `deadline_ms` of tp_clock_ms, below 0: none. */
tp_answer tp_child_receive(tp_child *child, const tp_frame *asked, double deadline_ms, tp_reply *reply);

/* Whether the child still had its sockets open a moment ago. */
bool tp_child_alive(const tp_child *child);

/* Lets the child end by itself, for a while; then it is killed. */
void tp_child_end(tp_child *child);
/* Ends the child now, and says in `why` how it ended, or that it was ended by us; with what it wrote to
 * stderr if it was still loading. */
void tp_child_lose(tp_child *child, tp_text *why);

#endif
