/* Devices, contexts and errors. Streams and events are fake_cuda_stream.c, memory is fake_cuda_memory.c. */
#define _DEFAULT_SOURCE /* usleep */
#include "fake_cuda.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_cuda_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char failing[64];
static int calls_left, fail_with, lost;
static int live;

/* The primary contexts; what counts is which one it is. */
static char contexts[64];
static _Thread_local void *context;
static _Thread_local void *below[8];
static _Thread_local int depth;

int fake_device(void) { return (int)((char *)context - contexts) - 10; }

static int is_sticky(int error) { return error == 700 || error == 719 || error == 999; }

int fake_begin(const char *name) {
  pthread_mutex_lock(&lock);
  int error = lost;
  if (calls_left > 0 && strcmp(failing, name) == 0 && --calls_left == 0) {
    error = fail_with;
    if (is_sticky(error)) lost = error;
    if (error < 0) {
      fprintf(stderr, "fake CUDA: ordered to end the process\n");
      abort();
    }
  }
  pthread_mutex_unlock(&lock);
  return error;
}

int fake_begin_in_context(const char *name) {
  int error = fake_begin(name);
  return error == 0 && context == NULL ? 201 : error;
}

void fake_cuda_fail(const char *name, int n, int error) {
  pthread_mutex_lock(&lock);
  strncpy(failing, name != NULL ? name : "", sizeof failing - 1);
  calls_left = n;
  fail_with = error;
  if (n == 0) lost = 0;
  pthread_mutex_unlock(&lock);
}

int fake_cuda_pending(void) {
  pthread_mutex_lock(&lock);
  int pending = calls_left > 0;
  pthread_mutex_unlock(&lock);
  return pending;
}

/* Tests in other languages let a call hang: as long as the file that FAKE_CUDA_HOLD names is there. Only one
 * at a time: whoever takes its place is to go on. */
void fake_hold(void) {
  static _Atomic int held;
  const char *path = getenv("FAKE_CUDA_HOLD");
  if (path == NULL || held++ > 0) path = "";
  while (*path != '\0' && access(path, F_OK) == 0) usleep(1000);
  held--;
}

void fake_count(int change) {
  pthread_mutex_lock(&lock);
  live += change;
  pthread_mutex_unlock(&lock);
}

int fake_cuda_live(void) {
  pthread_mutex_lock(&lock);
  int count = live;
  pthread_mutex_unlock(&lock);
  return count;
}

int fake_cuda_has_context(void) { return context != NULL; }

static int number_of(const char *variable, int fallback) {
  const char *text = getenv(variable);
  return text != NULL ? atoi(text) : fallback;
}

/* Tests in other languages order failures from outside: FAKE_CUDA_FAIL=name:n:error. */
static void read_orders(void) {
  char name[64] = "";
  int n = 0, error = 0;
  const char *text = getenv("FAKE_CUDA_FAIL");
  if (text != NULL && sscanf(text, "%63[^:]:%d:%d", name, &n, &error) == 3) fake_cuda_fail(name, n, error);
}

int cuInit(unsigned flags) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)flags;
  pthread_once(&once, read_orders);
  int error = fake_begin("cuInit");
  return error != 0 ? error : number_of("FAKE_CUDA_INIT", 0);
}

int cuDriverGetVersion(int *version) {
  *version = 13000;
  return 0;
}

int cuDeviceGetCount(int *count) {
  *count = number_of("FAKE_CUDA_DEVICES", 2);
  return 0;
}

int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal + 10;
  return fake_begin("cuDeviceGet");
}

int cuDeviceGetName(char *name, int bytes, int device) {
  snprintf(name, (size_t)bytes, "Fake GPU %d", device - 10);
  return 0;
}

int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
  for (int i = 0; i < 16; i++) uuid[i] = (unsigned char)(device + i);
  return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75    ? 9
           : attribute == 76  ? 0
           : attribute == 115 ? number_of("FAKE_CUDA_POOLS", 1)
                              : -1;
  return *value < 0 ? 1 : 0;
}

int cuDevicePrimaryCtxRetain(void **made, int device) {
  *made = &contexts[device];
  return fake_begin("cuDevicePrimaryCtxRetain");
}

int cuCtxSetCurrent(void *to) {
  int error = fake_begin("cuCtxSetCurrent");
  if (error == 0) context = to;
  return error;
}

int cuCtxPushCurrent_v2(void *to) {
  int error = fake_begin("cuCtxPushCurrent_v2");
  if (error != 0) return error;
  if (depth == 8) abort();
  below[depth++] = context;
  context = to;
  return 0;
}

/* Also where the context is lost: the thread must find what it had before. */
int cuCtxPopCurrent_v2(void **from) {
  if (depth == 0) return 201;
  *from = context;
  context = below[--depth];
  return 0;
}

int cuGetErrorName(int error, const char **name) {
  *name = error == 2     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == 100 ? "CUDA_ERROR_NO_DEVICE"
          : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                         : "CUDA_ERROR_FAKE";
  return 0;
}

int cuGetErrorString(int error, const char **text) {
  *text = error == 2 ? "out of memory" : "an error of the fake driver";
  return 0;
}
