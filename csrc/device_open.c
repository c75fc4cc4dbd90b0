/* Opening a device beside the caller: CUDA's start takes hundreds of milliseconds. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "cuda.h"
#include "memory.h"
#include "status.h"

/* One for each device, from when it is asked for until its outcome was told. */
typedef struct opening {
  bool running, ended;
  int32_t status;
  char text[1024];
  tp_options options; /* the thread's while it runs */
} opening;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static opening openings[TP_CUDA_DEVICES_MAX];

static const tp_option_key keys[] = {{"cuda", false}, {NULL, false}};

static void *open_device(void *argument) {
  opening *o = argument;
  tp_text missing = {0}, found = {0};
  const tp_cuda *cuda = NULL;
  tp_cuda_device *device = NULL;
  int32_t status = tp_cuda_open(&o->options, &missing, &found, &cuda);
  if (status != TP_OK) tp_fail(status, "cannot use CUDA on this machine: %s", missing.text);
  else status = tp_cuda_device_open(cuda, (uint32_t)(o - openings), &device);
  pthread_mutex_lock(&lock);
  o->status = status;
  tp_last_error(o->text, sizeof o->text);
  tp_options_free(&o->options);
  o->running = false;
  o->ended = true;
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* The thread ends by itself. Signals stay with the threads that the program made. */
static int32_t start(opening *o) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  o->running = pthread_create(&thread, &attributes, open_device, o) == 0;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (o->running) return 0;
  tp_options_free(&o->options);
  return tp_fail(TP_ERR_MEMORY, "cannot start a thread to open a CUDA device");
}

/* The outcome is told once; after a failure the next call tries again. */
static int32_t look(opening *o, tp_options *options) {
  if (o->running) return 0;
  if (!o->ended) {
    o->options = *options;
    *options = (tp_options){0};
    return start(o);
  }
  o->ended = false;
  return o->status == TP_OK ? 1 : tp_fail(o->status, "%s", o->text);
}

int32_t tp_device_open(uint32_t device, const char *options, uint32_t options_bytes) {
  if (device >= TP_CUDA_DEVICES_MAX) {
    return tp_fail(TP_ERR_ARGUMENT, "cannot open CUDA device %u: expected a number below %u", device,
                   TP_CUDA_DEVICES_MAX);
  }
  tp_options parsed = {0};
  int32_t status = tp_options_parse(options, options_bytes, &parsed);
  if (status == TP_OK) status = tp_options_check(&parsed, "a CUDA device", keys);
  tp_cuda_device *opened = status == TP_OK ? tp_cuda_device_at(device) : NULL;
  if (opened != NULL) {
    status = 1;
  } else if (status == TP_OK) {
    pthread_mutex_lock(&lock);
    status = look(&openings[device], &parsed);
    pthread_mutex_unlock(&lock);
  }
  tp_options_free(&parsed);
  return status;
}
