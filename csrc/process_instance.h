/* One instance of Process[X]: its child, the memory that both see, and the runs that it carries out. */
#ifndef TP_PROCESS_INSTANCE_H
#define TP_PROCESS_INSTANCE_H

#include <pthread.h>

#include "process_child.h"
#include "process_shared.h"

/* A child with a file of shared memory: all that has to be handed from a model to its first instance. */
typedef struct tp_process_seat {
  tp_child child;
  int shared_file; /* -1: none */
} tp_process_seat;

typedef struct tp_process_model {
  const tp_backend *inner;
  tp_child_plan plan;
  uint32_t run_timeout_ms; /* 0: none */
  pthread_mutex_t lock;
  /* The child that described the model; the first instance takes it. */
  tp_process_seat spare;
} tp_process_model;

/* Starts a child in an empty seat. Errors: as tp_child_start. */
int32_t tp_process_sit(const tp_process_model *model, tp_process_seat *seat);
/* Waits until the seat's child has opened the model. Errors: the engine's own; PARSE (it died). The child is
 * ended then. */
int32_t tp_process_await_open(const tp_process_model *model, tp_process_seat *seat, tp_reply *reply);
/* Ends the seat's child and gives its memory back. */
void tp_process_leave(tp_process_seat *seat);

/* The functions of tp_backend. */
int32_t tp_process_create(void *model, const tp_model_info *info, uint32_t capacity, void **instance);
int32_t tp_process_stage(void *instance, uint32_t k, uint64_t bytes, uint8_t **memory);
int32_t tp_process_run(void *instance, tp_run *run);
void tp_process_destroy(void *instance);
void tp_process_interrupt(void *instance);
void tp_process_resume(void *instance);

#endif
