/* Streams as threads, and events as counts of what a stream has done. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"
#include "fake_cuda_internal.h"

typedef struct job {
  struct job *next;
  void (*run)(void *);
  void *argument;
  int owned; /* the argument ends with the job; that of a graph's job ends with the graph */
} job;

/* What was captured; a graph and what is made ready of it share it. */
typedef struct graph {
  int references;
  job *first, *last;
} graph;

typedef struct stream {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  job *first, *last;
  uint64_t queued, done;
  int ending;
  graph *capturing; /* by the thread that uses the stream */
} stream;

typedef struct event {
  stream *of;
  uint64_t number; /* done when `of` has done that many */
} event;

typedef struct copy {
  void *to;
  const void *from; /* NULL: fills with zeros */
  size_t bytes;
  const void *host; /* the side that is no device's */
} copy;

static void *work(void *argument) {
  stream *s = argument;
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->first == NULL && !s->ending) pthread_cond_wait(&s->changed, &s->lock);
    job *next = s->first;
    if (next == NULL) break;
    s->first = next->next;
    if (s->first == NULL) s->last = NULL;
    pthread_mutex_unlock(&s->lock);
    next->run(next->argument);
    if (next->owned) free(next->argument);
    free(next);
    pthread_mutex_lock(&s->lock);
    s->done++;
    pthread_cond_broadcast(&s->changed);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

static void append(job **first, job **last, job *made) {
  if (*last != NULL) (*last)->next = made;
  else *first = made;
  *last = made;
}

static void queue_job(stream *s, void (*run)(void *), void *argument, int owned) {
  job *made = malloc(sizeof *made);
  *made = (job){NULL, run, argument, owned};
  if (s->capturing != NULL && owned) {
    append(&s->capturing->first, &s->capturing->last, made);
    return;
  }
  pthread_mutex_lock(&s->lock);
  append(&s->first, &s->last, made);
  s->queued++;
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->lock);
}

int fake_cuda_queue(void *to, void (*run)(void *), void *argument) {
  if (to == NULL) return 1;
  queue_job(to, run, argument, 1);
  return 0;
}

int cuStreamCreateWithPriority(void **made, unsigned flags, int priority) {
  int error = fake_begin_in_context("cuStreamCreateWithPriority");
  if (error != 0) return error;
  if (flags != 1 || priority != 0) return 1;
  stream *s = calloc(1, sizeof *s);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->changed, NULL);
  if (pthread_create(&s->thread, NULL, work, s) != 0) abort();
  fake_count(1);
  *made = s;
  return 0;
}

int cuStreamDestroy_v2(void *of) {
  stream *s = of;
  pthread_mutex_lock(&s->lock);
  s->ending = 1;
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->lock);
  free(s);
  fake_count(-1);
  return 0;
}

static void wait_for(stream *s, uint64_t number) {
  pthread_mutex_lock(&s->lock);
  while (s->done < number) pthread_cond_wait(&s->changed, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

static uint64_t queued(stream *s) {
  pthread_mutex_lock(&s->lock);
  uint64_t number = s->queued;
  pthread_mutex_unlock(&s->lock);
  return number;
}

int cuStreamSynchronize(void *of) {
  if (of == NULL) return 1;
  if (((stream *)of)->capturing != NULL) return 900;
  wait_for(of, queued(of));
  return fake_begin_in_context("cuStreamSynchronize");
}

int cuEventCreate(void **made, unsigned flags) {
  int error = fake_begin_in_context("cuEventCreate");
  if (error != 0) return error;
  if (flags != 3) return 1;
  event *e = calloc(1, sizeof *e);
  fake_count(1);
  *made = e;
  return 0;
}

int cuEventRecord(void *of, void *on) {
  event *e = of;
  int error = fake_begin_in_context("cuEventRecord");
  if (error != 0) return error;
  e->of = on;
  e->number = queued(on);
  return 0;
}

int cuEventQuery(void *of) {
  const event *e = of;
  int error = fake_begin_in_context("cuEventQuery");
  if (error != 0) return error;
  pthread_mutex_lock(&e->of->lock);
  int done = e->of->done >= e->number;
  pthread_mutex_unlock(&e->of->lock);
  return done ? 0 : 600;
}

int cuEventSynchronize(void *of) {
  const event *e = of;
  wait_for(e->of, e->number);
  fake_hold();
  return fake_begin_in_context("cuEventSynchronize");
}

int cuEventDestroy_v2(void *of) {
  free(of);
  fake_count(-1);
  return 0;
}

static void run_copy(void *argument) {
  copy *c = argument;
  if (c->from != NULL) memcpy(c->to, c->from, c->bytes);
  else memset(c->to, 0, c->bytes);
  fake_host_used(c->host, c->bytes, -1);
}

static int queue_copy(const char *name, void *to, const void *from, size_t bytes, const void *host,
                      void *on) {
  int error = fake_begin_in_context(name);
  if (error != 0) return error;
  fake_host_used(host, bytes, 1);
  copy *c = malloc(sizeof *c);
  *c = (copy){to, from, bytes, host};
  return fake_cuda_queue(on, run_copy, c);
}

static void need_device(const void *memory, size_t bytes) {
  if (fake_cuda_is_device(memory, bytes)) return;
  fprintf(stderr, "fake CUDA: %zu bytes at %p are not device memory\n", bytes, memory);
  abort();
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *on) {
  need_device((void *)(uintptr_t)to, bytes);
  return queue_copy("cuMemcpyHtoDAsync_v2", (void *)(uintptr_t)to, from, bytes, from, on);
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *on) {
  need_device((void *)(uintptr_t)from, bytes);
  return queue_copy("cuMemcpyDtoHAsync_v2", to, (void *)(uintptr_t)from, bytes, to, on);
}

static void need_same(const char *name, uint64_t to, uint64_t from, int same) {
  int equal = fake_cuda_device_of((void *)(uintptr_t)to) == fake_cuda_device_of((void *)(uintptr_t)from);
  if (equal == same) return;
  fprintf(stderr, "fake CUDA: %s is not for copies %s\n", name, same ? "across devices" : "within a device");
  abort();
}

int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *on) {
  need_device((void *)(uintptr_t)to, bytes);
  need_device((void *)(uintptr_t)from, bytes);
  if (fake_cuda_has_context()) need_same("cuMemcpyDtoDAsync_v2", to, from, 1);
  return queue_copy("cuMemcpyDtoDAsync_v2", (void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes, NULL, on);
}

int cuMemsetD8Async(uint64_t to, unsigned char byte, size_t bytes, void *on) {
  need_device((void *)(uintptr_t)to, bytes);
  if (byte != 0) return 1;
  return queue_copy("cuMemsetD8Async", (void *)(uintptr_t)to, NULL, bytes, NULL, on);
}

int cuMemcpyPeerAsync(uint64_t to, void *there, uint64_t from, void *here, size_t bytes, void *on) {
  need_device((void *)(uintptr_t)to, bytes);
  need_device((void *)(uintptr_t)from, bytes);
  if (there == NULL || here == NULL || there == here) return 1;
  if (fake_cuda_has_context()) need_same("cuMemcpyPeerAsync", to, from, 0);
  return queue_copy("cuMemcpyPeerAsync", (void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes, NULL, on);
}

/* ---- Graphs -------------------------------------------------------------------------------------------- */

static _Atomic int launches;

int fake_cuda_launches(void) { return launches; }

int cuStreamBeginCapture_v2(void *of, int mode) {
  int error = fake_begin_in_context("cuStreamBeginCapture_v2");
  if (error != 0) return error;
  if (mode != 1) return 1;
  graph *made = calloc(1, sizeof *made);
  made->references = 1;
  fake_count(1);
  ((stream *)of)->capturing = made;
  return 0;
}

int cuGraphDestroy(void *of) {
  graph *g = of;
  if (--g->references > 0) return 0;
  while (g->first != NULL) {
    job *next = g->first->next;
    free(g->first->argument);
    free(g->first);
    g->first = next;
  }
  free(g);
  fake_count(-1);
  return 0;
}

int cuStreamEndCapture(void *of, void **captured) {
  stream *s = of;
  graph *g = s->capturing;
  int error = fake_begin_in_context("cuStreamEndCapture");
  s->capturing = NULL;
  *captured = error == 0 ? g : NULL;
  if (error != 0) cuGraphDestroy(g);
  return error;
}

int cuGraphInstantiateWithFlags(void **ready, void *of, uint64_t flags) {
  graph *g = of;
  int error = fake_begin_in_context("cuGraphInstantiateWithFlags");
  if (error != 0 || flags != 0) return error != 0 ? error : 1;
  g->references++;
  *ready = g;
  return 0;
}

int cuGraphExecDestroy(void *ready) { return cuGraphDestroy(ready); }

int cuGraphLaunch(void *ready, void *on) {
  int error = fake_begin_in_context("cuGraphLaunch");
  if (error != 0) return error;
  launches++;
  for (const job *j = ((graph *)ready)->first; j != NULL; j = j->next) queue_job(on, j->run, j->argument, 0);
  return 0;
}
