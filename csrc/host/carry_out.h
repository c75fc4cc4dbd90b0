/* Running one batch in the child. */
#ifndef TP_HOST_CARRY_OUT_H
#define TP_HOST_CARRY_OUT_H

#include <pthread.h>

#include "../process_shared.h"
#include "../process_wire.h"

/* What the child has: one model, one instance of it. */
typedef struct tp_host {
  const tp_backend *backend;
  tp_model_info info;
  void *model; /* NULL: none yet, or the backend needs none */
  void *instance;
  uint32_t capacity;
  bool opened, created;

  tp_region call_region, native;
  tp_region regions[TP_MAX_TENSORS];
  tp_run run;

  pthread_mutex_t lock; /* of all below */
  uint32_t running;     /* sequence of the run in progress; 0: none */
  uint32_t wanted;      /* sequence of a run that is to end early; 0: none */
  bool interrupted;     /* the run in progress was asked to */
} tp_host;

/* Runs what the call block says; the status, with the last error set. Main thread. */
int32_t tp_host_carry_out(tp_host *host, uint32_t sequence);

/* Asks that run to end early, now or when it begins. Any thread. */
void tp_host_interrupt(tp_host *host, uint32_t sequence);

void tp_host_unmap(tp_host *host);

#endif
