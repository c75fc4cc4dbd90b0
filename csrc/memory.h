/* All memory of this library's own comes through here, so that a test can make any one request for it fail.
 */
#ifndef TP_MEMORY_H
#define TP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Alignment of staging memory: a cache line, and what the widest vector loads like. */
#define TP_STAGING_ALIGN 64

/* Zeroed memory; NULL, with the last error set, when there is none. Any thread. */
void *tp_alloc(size_t bytes);

/* Memory aligned to TP_STAGING_ALIGN, not zeroed: pages that are never used cost nothing. */
void *tp_alloc_staging(size_t bytes);

/* As realloc; what is added is not zeroed, and on failure the old memory stays. */
void *tp_realloc(void *memory, size_t bytes);

/* A copy of `bytes` bytes with a NUL byte after them. */
char *tp_copy(const void *from, size_t bytes);

/* Gives back memory from any of the above. NULL is ignored. */
void tp_free(void *memory);

/*
 * Gives what the process has freed back to the system. glibc keeps it: what is freed below one piece that is
 * still in use stays resident, and so does what threads leave behind that have ended. Takes milliseconds.
 * Other C libraries, and runtimes that bring an allocator of their own, are not asked.
 */
void tp_memory_trim(void);

/* to = a * b; false if that overflows. */
int tp_multiply(uint64_t a, uint64_t b, uint64_t *to);

#ifdef TRTPIPE_FAULT
/* Lets the n-th request from now fail, once; 0 takes that back. For the whole process. */
void tp_alloc_fail_at(uint64_t n);
/* Whether that is still to come. */
int tp_alloc_fail_pending(void);
#endif

#endif
