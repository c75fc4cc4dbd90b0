/* Files that are read and written whole. */
#ifndef TP_FILE_H
#define TP_FILE_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of a file. Start with {0}; tp_free(data) at the end. */
typedef struct tp_bytes {
  uint8_t *data;
  size_t count;
} tp_bytes;

/* Reads a regular file; never waits for a FIFO's other end. Errors: OPEN, MEMORY. */
int32_t tp_file_read(const char *path, tp_bytes *bytes);

/*
 * Writes a file that only its owner may read, from several parts. Nobody ever sees half of it: it is written
 * beside its place and then renamed. Errors: OPEN, MEMORY.
 */
int32_t tp_file_write(const char *path, const tp_bytes *parts, size_t count);

/* Waits until no other thread or process holds the lock file `path`, which is made if it is not there; with
 * `wait_ms` of 0 or more, about that long. Errors: OPEN, BUSY (without a text: it is still held). */
int32_t tp_file_lock(const char *path, int32_t wait_ms, int *lock);
void tp_file_unlock(int lock);

#endif
