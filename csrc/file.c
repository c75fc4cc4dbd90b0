#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "status.h"

static int32_t refuse(const char *path, const char *reason) {
  return tp_fail(TP_ERR_OPEN, "cannot read \"%s\": %s", path, reason);
}

static int32_t refuse_errno(const char *path, int error) {
  char reason[128];
  return refuse(path, tp_errno_text(error, reason, sizeof reason));
}

static int32_t read_all(int file, const char *path, tp_bytes *bytes) {
  size_t done = 0;
  while (done < bytes->count) {
    ssize_t got = read(file, bytes->data + done, bytes->count - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse_errno(path, errno);
    if (got == 0) return refuse(path, "it became shorter while it was read");
    done += (size_t)got;
  }
  return TP_OK;
}

int32_t tp_file_read(const char *path, tp_bytes *bytes) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return refuse_errno(path, errno);
  struct stat found;
  int32_t status = TP_OK;
  if (fstat(file, &found) != 0) status = refuse_errno(path, errno);
  else if (!S_ISREG(found.st_mode))
    status = refuse(path, S_ISDIR(found.st_mode) ? "it is a directory" : "it is not a regular file");
  if (status == TP_OK) {
    bytes->count = (size_t)found.st_size;
    bytes->data = tp_alloc_staging(bytes->count);
    status = bytes->data == NULL ? TP_ERR_MEMORY : read_all(file, path, bytes);
  }
  close(file);
  if (status == TP_OK) return TP_OK;
  tp_free(bytes->data);
  *bytes = (tp_bytes){0};
  return status;
}
