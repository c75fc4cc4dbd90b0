#include "memory.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "status.h"

#ifdef TRTPIPE_FAULT
#include <stdatomic.h>

/* Requests until one fails; 0: none will. */
static _Atomic uint64_t requests_left;

void tp_alloc_fail_at(uint64_t n) { atomic_store(&requests_left, n); }

int tp_alloc_fail_pending(void) { return atomic_load(&requests_left) > 0; }

static int must_fail(void) {
  uint64_t left = atomic_load(&requests_left);
  while (left > 0) {
    if (atomic_compare_exchange_weak(&requests_left, &left, left - 1)) return left == 1;
  }
  return 0;
}
#else
static int must_fail(void) { return 0; }
#endif

static void *out_of_memory(size_t bytes) {
  tp_fail(TP_ERR_MEMORY, "cannot get %zu bytes of memory", bytes);
  return NULL;
}

void *tp_alloc(size_t bytes) {
  void *memory = must_fail() ? NULL : calloc(1, bytes > 0 ? bytes : 1);
  return memory != NULL ? memory : out_of_memory(bytes);
}

void *tp_alloc_staging(size_t bytes) {
  void *memory = NULL;
  /* Not rounded up: a sanitizer then sees the first byte that is written past the end. */
  if (must_fail() || posix_memalign(&memory, TP_STAGING_ALIGN, bytes > 0 ? bytes : 1) != 0)
    return out_of_memory(bytes);
  return memory;
}

void *tp_realloc(void *memory, size_t bytes) {
  void *grown = must_fail() ? NULL : realloc(memory, bytes > 0 ? bytes : 1);
  return grown != NULL ? grown : out_of_memory(bytes);
}

char *tp_copy(const void *from, size_t bytes) {
  char *copy = bytes < SIZE_MAX ? tp_alloc(bytes + 1) : out_of_memory(bytes);
  if (copy != NULL && bytes > 0) memcpy(copy, from, bytes);
  return copy;
}

void tp_free(void *memory) { free(memory); }

void tp_memory_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

int tp_multiply(uint64_t a, uint64_t b, uint64_t *to) {
  if (a != 0 && b > UINT64_MAX / a) return 0;
  *to = a * b;
  return 1;
}
