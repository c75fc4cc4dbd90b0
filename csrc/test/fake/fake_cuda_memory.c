/* Device memory, and what is known of a pointer. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"
#include "fake_cuda_internal.h"

#define ALLOCATIONS 4096
#define DEVICE_BYTES ((size_t)1 << 30)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock`; `at` NULL: not in use. */
static struct {
  char *at;
  size_t bytes;
  int device;
} allocations[ALLOCATIONS];

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

int cuMemGetInfo_v2(size_t *free_bytes, size_t *all_bytes) {
  *free_bytes = *all_bytes = DEVICE_BYTES;
  return fake_begin_in_context("cuMemGetInfo_v2");
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
  allocations[i].device = fake_device();
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

/* Memory of a pool, too; nothing may be queued that uses it. */
int cuMemFree_v2(uint64_t memory) {
  int error = fake_begin_in_context("cuMemFree_v2");
  void *at = (void *)(uintptr_t)memory;
  if (error == 0) free_memory(&at);
  return error;
}
