#define _GNU_SOURCE /* memfd_create, F_ADD_SEALS, fallocate */
#include "process_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "status.h"

/* Regions begin at multiples of this, whatever the page size is. */
#define REGION_ALIGN 65536u

static int32_t no_memory(uint64_t bytes, int error) {
  char reason[128];
  return tp_fail(TP_ERR_MEMORY, "cannot get %llu bytes of shared memory: %s", (unsigned long long)bytes,
                 tp_errno_text(error, reason, sizeof reason));
}

int tp_shared_open(void) {
  int file = memfd_create("trtpipe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file >= 0 && fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) == 0) return file;
  no_memory(0, errno);
  if (file >= 0) close(file);
  return -1;
}

static int map(int file, tp_region *region, uint64_t offset, uint64_t bytes) {
  void *data = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)offset);
  if (data == MAP_FAILED) return errno;
  tp_region_unmap(region);
  *region = (tp_region){offset, bytes, data};
  return 0;
}

int32_t tp_region_grow(int file, uint64_t *end, tp_region *region, uint64_t bytes) {
  if (region->data != NULL && bytes <= region->bytes) return TP_OK;
  /* One that has grown once will grow again: doubling bounds how often, and what the holes add up to. */
  uint64_t wanted = region->data != NULL && bytes < 2 * region->bytes ? 2 * region->bytes : bytes;
  if (wanted > INT64_MAX / 4 || *end > INT64_MAX / 4) return no_memory(bytes, EFBIG);
  wanted = wanted == 0 ? REGION_ALIGN : (wanted + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
  struct stat now;
  if (fstat(file, &now) != 0) return no_memory(bytes, errno);
  /* A child that died may have made the file longer than we know. */
  if ((uint64_t)now.st_size < *end + wanted && ftruncate(file, (off_t)(*end + wanted)) != 0)
    return no_memory(bytes, errno);
  tp_region old = *region;
  int failed = map(file, region, *end, wanted);
  if (failed != 0) return no_memory(bytes, failed);
  *end += wanted;
  if (old.data != NULL) {
    fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)old.offset, (off_t)old.bytes);
  }
  return TP_OK;
}

int32_t tp_region_map(int file, tp_region *region, uint64_t offset, uint64_t bytes) {
  if (region->data != NULL && region->offset == offset && region->bytes == bytes) return TP_OK;
  struct stat now;
  if (fstat(file, &now) != 0) return no_memory(bytes, errno);
  if (bytes == 0 || offset % REGION_ALIGN != 0 || bytes > (uint64_t)now.st_size ||
      offset > (uint64_t)now.st_size - bytes) {
    return tp_fail(TP_ERR_INTERNAL, "cannot map %llu bytes at %llu of the shared memory: it has %lld",
                   (unsigned long long)bytes, (unsigned long long)offset, (long long)now.st_size);
  }
  int failed = map(file, region, offset, bytes);
  return failed == 0 ? TP_OK : no_memory(bytes, failed);
}

void tp_region_unmap(tp_region *region) {
  if (region->data != NULL) munmap(region->data, (size_t)region->bytes);
  *region = (tp_region){0};
}
