/*
 * The memory that both sides of Process[X] see: one anonymous file, and regions of it that each side maps for
 * itself. Regions are only ever added; one that grew leaves a hole behind, which costs no memory. The file is
 * sealed against shrinking, so that no side can pull pages away from under the other.
 */
#ifndef TP_PROCESS_SHARED_H
#define TP_PROCESS_SHARED_H

#include <stdint.h>

/* A mapped part of the file; {0}: none. */
typedef struct tp_region {
  uint64_t offset, bytes;
  uint8_t *data;
} tp_region;

/* Makes an empty file; its descriptor, or -1 with the last error set. */
int tp_shared_open(void);

/*
 * Makes room for `bytes` in a region: the region as it is, or a larger one at `*end`, which moves on. Its old
 * contents are lost. On failure the region is as it was. Errors: MEMORY.
 */
int32_t tp_region_grow(int file, uint64_t *end, tp_region *region, uint64_t bytes);

/* Maps what the other side says, unless it is mapped already. Errors: MEMORY, INTERNAL (it lies outside the
 * file). */
int32_t tp_region_map(int file, tp_region *region, uint64_t offset, uint64_t bytes);

void tp_region_unmap(tp_region *region);

#endif
