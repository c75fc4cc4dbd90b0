/* Devices, contexts, errors and device memory. Streams and events are fake_cuda_stream.c. */
#include "fake_cuda.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_internal.h"

#define ALLOCATIONS 4096
#define DEVICE_BYTES ((size_t)1 << 30)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char failing[64];
static int calls_left, fail_with, lost;
static struct {
  char *at;
  size_t bytes;
  int device;
} allocations[ALLOCATIONS];
static int live;

/* The primary contexts; what counts is which one it is. */
static char contexts[64];
static _Thread_local void *context;
static _Thread_local void *below[8];
static _Thread_local int depth;

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

int fake_cuda_is_device(const void *memory, size_t bytes) {
  const char *at = memory;
  int found = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < ALLOCATIONS && !found; i++) {
    const char *start = allocations[i].at;
    found = start != NULL && at >= start && at + bytes <= start + allocations[i].bytes;
  }
  pthread_mutex_unlock(&lock);
  return found;
}

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

int cuMemGetInfo_v2(size_t *free_bytes, size_t *all_bytes) {
  *free_bytes = *all_bytes = DEVICE_BYTES;
  return fake_begin_in_context("cuMemGetInfo_v2");
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

int cuDeviceGetDefaultMemPool(void **pool, int device) {
  static char pools[64];
  *pool = &pools[device];
  return 0;
}

int cuMemPoolSetAttribute(void *pool, int attribute, void *value) {
  (void)pool;
  return attribute == 4 && *(uint64_t *)value == UINT64_MAX ? 0 : 1;
}

/* What is known of a pointer: its kind, its device, and where its memory begins and ends. */
int cuPointerGetAttribute(void *value, int attribute, uint64_t pointer) {
  int error = fake_begin_in_context("cuPointerGetAttribute");
  const char *at = (char *)(uintptr_t)pointer;
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < ALLOCATIONS && (allocations[i].at == NULL || at < allocations[i].at ||
                             at >= allocations[i].at + allocations[i].bytes)) {
    i++;
  }
  if (error == 0 && i == ALLOCATIONS) error = 1;
  if (error == 0 && attribute == 2) *(unsigned *)value = 2;
  else if (error == 0 && attribute == 9) *(int *)value = allocations[i].device;
  else if (error == 0 && attribute == 11) *(uint64_t *)value = (uint64_t)(uintptr_t)allocations[i].at;
  else if (error == 0 && attribute == 12) *(size_t *)value = allocations[i].bytes;
  else if (error == 0) error = 1;
  pthread_mutex_unlock(&lock);
  return error;
}

int fake_cuda_device_of(const void *memory) {
  int ordinal = -1;
  return cuPointerGetAttribute(&ordinal, 9, (uint64_t)(uintptr_t)memory) == 0 ? ordinal : -1;
}

static _Alignas(256) char piece[1 << 16];
/* Where the next memory in it begins; below 0: none comes from there. */
static int piece_used = -1;

void fake_cuda_side_by_side(int on) {
  pthread_mutex_lock(&lock);
  piece_used = on ? 0 : -1;
  pthread_mutex_unlock(&lock);
}

static void *memory_of_piece(size_t bytes) {
  void *made = NULL;
  pthread_mutex_lock(&lock);
  if (piece_used >= 0 && bytes <= sizeof piece - (size_t)piece_used) {
    made = piece + piece_used;
    piece_used += (int)bytes;
  }
  pthread_mutex_unlock(&lock);
  return made;
}

/* Never aligned to more than the 256 bytes that a pool promises. What lies before must not be written. */
#define BEFORE 256
static void *take_memory(size_t bytes) {
  void *made = memory_of_piece(bytes);
  if (made != NULL || posix_memalign(&made, 2 * BEFORE, BEFORE + bytes) != 0) return made;
  memset(made, 0xDB, BEFORE);
  return (char *)made + BEFORE;
}

static void give_memory(char *memory) {
  if (memory >= piece && memory < piece + sizeof piece) return;
  for (int i = 1; i <= BEFORE; i++)
    if (memory[-i] != (char)0xDB) abort();
  free(memory - BEFORE);
}

int cuMemAllocAsync(uint64_t *memory, size_t bytes, void *stream) {
  int error = fake_begin_in_context("cuMemAllocAsync");
  if (error != 0) return error;
  if (bytes > DEVICE_BYTES) return 2;
  if (stream == NULL || bytes == 0) return 1;
  void *made = take_memory(bytes);
  if (made == NULL) return 1;
  memset(made, 0xDA, bytes);
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < ALLOCATIONS && allocations[i].at != NULL) i++;
  if (i == ALLOCATIONS) abort();
  allocations[i].at = made;
  allocations[i].bytes = bytes;
  allocations[i].device = (int)((char *)context - contexts) - 10;
  pthread_mutex_unlock(&lock);
  fake_count(1);
  *memory = (uint64_t)(uintptr_t)made;
  return 0;
}

/* Runs in the stream: what was queued before still has the memory. */
static void free_memory(void *argument) {
  void *memory = *(void **)argument;
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < ALLOCATIONS && allocations[i].at != memory) i++;
  if (i == ALLOCATIONS) abort();
  allocations[i].at = NULL;
  pthread_mutex_unlock(&lock);
  give_memory(memory);
  fake_count(-1);
}

/* Gives back even when the context is lost, as the end of the process would. */
int cuMemFreeAsync(uint64_t memory, void *stream) {
  void **argument = malloc(sizeof *argument);
  *argument = (void *)(uintptr_t)memory;
  return fake_cuda_queue(stream, free_memory, argument);
}
