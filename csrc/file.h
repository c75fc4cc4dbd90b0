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

#endif
