/* Host memory: what the driver gives, and what it is asked to register. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_cuda.h"
#include "fake_cuda_internal.h"

#define REGISTRATIONS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock`; `start` NULL: not in use. */
static struct {
  const char *start;
  size_t bytes;
  int copies; /* queued and not done */
} registrations[REGISTRATIONS];
static int direct_copies;

/* Tests in other languages read what is registered in the file that FAKE_CUDA_LOG names. Under `lock`. */
static void tell(const char *what, size_t bytes) {
  const char *path = getenv("FAKE_CUDA_LOG");
  FILE *file = path != NULL ? fopen(path, "a") : NULL;
  if (file == NULL) return;
  fprintf(file, "%s %zu, direct copies: %d\n", what, bytes, direct_copies);
  fclose(file);
}

int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  int error = fake_begin_in_context("cuMemHostAlloc");
  if (error != 0 || flags != 1) return error != 0 ? error : 1;
  *memory = malloc(bytes);
  fake_count(1);
  return 0;
}

int cuMemFreeHost(void *memory) {
  free(memory);
  fake_count(-1);
  return 0;
}

static void broken(const char *rule, const void *memory) {
  fprintf(stderr, "fake CUDA: %s (%p)\n", rule, memory);
  abort();
}

/* The registration that has a byte of this memory; -1: none. Under `lock`. */
static int find(const char *memory, size_t bytes) {
  for (int i = 0; i < REGISTRATIONS; i++) {
    const char *start = registrations[i].start;
    if (start != NULL && memory < start + registrations[i].bytes && start < memory + bytes) return i;
  }
  return -1;
}

int cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags) {
  int error = fake_begin_in_context("cuMemHostRegister_v2");
  if (error != 0) return error;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (flags != 1 || (uintptr_t)memory % page != 0 || bytes == 0 || bytes % page != 0) return 1;
  pthread_mutex_lock(&lock);
  int i = 0;
  if (find(memory, bytes) >= 0) error = 712;
  while (error == 0 && i < REGISTRATIONS && registrations[i].start != NULL) i++;
  if (i == REGISTRATIONS) abort();
  if (error == 0) {
    registrations[i].start = memory;
    registrations[i].bytes = bytes;
    registrations[i].copies = 0;
    tell("register", bytes);
  }
  pthread_mutex_unlock(&lock);
  if (error == 0) fake_count(1);
  return error;
}

/* Unregisters even when the context is lost, as the end of the process would. */
int cuMemHostUnregister(void *memory) {
  int error = fake_begin_in_context("cuMemHostUnregister");
  pthread_mutex_lock(&lock);
  int i = find(memory, 1);
  if (i < 0 || registrations[i].start != memory) broken("this memory is not registered", memory);
  if (registrations[i].copies > 0) broken("memory is unregistered while copies use it", memory);
  if (msync(memory, registrations[i].bytes, MS_ASYNC) != 0)
    broken("memory was unmapped while it was registered", memory);
  registrations[i].start = NULL;
  tell("unregister", registrations[i].bytes);
  pthread_mutex_unlock(&lock);
  fake_count(-1);
  return error;
}

void fake_host_used(const void *memory, size_t bytes, int change) {
  if (memory == NULL || bytes == 0) return;
  const char *start = memory;
  pthread_mutex_lock(&lock);
  int i = find(start, bytes);
  if (i >= 0) {
    const char *first = registrations[i].start;
    if (start < first || start + bytes > first + registrations[i].bytes)
      broken("memory is copied that is registered in part", memory);
    registrations[i].copies += change;
    direct_copies += change > 0;
  }
  pthread_mutex_unlock(&lock);
}

size_t fake_cuda_registered(void) {
  size_t bytes = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < REGISTRATIONS; i++) {
    if (registrations[i].start != NULL) bytes += registrations[i].bytes;
  }
  pthread_mutex_unlock(&lock);
  return bytes;
}

int fake_cuda_direct_copies(void) {
  pthread_mutex_lock(&lock);
  int count = direct_copies;
  pthread_mutex_unlock(&lock);
  return count;
}
