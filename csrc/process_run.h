/* What process_instance.c and process_run.c share. */
#ifndef TP_PROCESS_RUN_H
#define TP_PROCESS_RUN_H

#include "process_instance.h"

typedef struct tp_process {
  tp_process_model *model;
  const tp_model_info *info;
  uint32_t capacity;

  tp_process_seat seat;
  uint64_t file_end;
  tp_region call_region, native;
  tp_region regions[TP_MAX_TENSORS];

  bool opened, created; /* what the child in the seat has done already */
  uint32_t deaths;      /* since the last answered run */
  double not_before_ms; /* when the next child may be started */
  char last_end[1024];  /* how the last child ended */

  uint32_t sequence;
  /* Of all below, and of the seat's child towards who interrupts. */
  pthread_mutex_t lock;
  bool running; /* the run with this sequence was handed to the child */
  bool wanted;  /* the run in progress is to end early */
} tp_process;

/* Sees to it that a child sits there and has its instance. Errors: LOST (it could not be replaced), DEAD. */
int32_t tp_process_ready(tp_process *x);
/* Ends the child, and counts its death; last_end tells how. */
void tp_process_lose(tp_process *x);
/* Starts the next child already, if that need not wait. Sets the last error. */
void tp_process_replace_early(tp_process *x);
/* Fails with DEAD. */
int32_t tp_process_hopeless(const tp_process *x);

#endif
