#define _DEFAULT_SOURCE /* flock */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "status.h"

static int32_t cannot_write(const char *path, int error) {
  char reason[128];
  return tp_fail(TP_ERR_OPEN, "cannot write \"%s\": %s", path, tp_errno_text(error, reason, sizeof reason));
}

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

static bool write_all(int file, const tp_bytes *part) {
  for (size_t done = 0; done < part->count;) {
    ssize_t put = write(file, part->data + done, part->count - done);
    if (put < 0 && errno != EINTR) return false;
    if (put > 0) done += (size_t)put;
  }
  return true;
}

int32_t tp_file_write(const char *path, const tp_bytes *parts, size_t count) {
  size_t length = strlen(path);
  char *temporary = tp_alloc(length + 8);
  if (temporary == NULL) return TP_ERR_MEMORY;
  snprintf(temporary, length + 8, "%s.XXXXXX", path);
  /* mkstemp gives the file to its owner alone. */
  int file = mkstemp(temporary);
  bool written = file >= 0 && fcntl(file, F_SETFD, FD_CLOEXEC) == 0;
  for (size_t i = 0; written && i < count; i++) written = write_all(file, &parts[i]);
  written = written && fsync(file) == 0 && rename(temporary, path) == 0;
  int error = errno;
  if (file >= 0) {
    if (!written) unlink(temporary);
    close(file);
  }
  tp_free(temporary);
  return written ? TP_OK : cannot_write(path, error);
}

int32_t tp_file_lock(const char *path, int32_t wait_ms, int *lock) {
  *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (*lock < 0) return cannot_write(path, errno);
  /* The system takes the lock back from a process that dies. */
  double end_ms = tp_clock_ms() + wait_ms;
  while (flock(*lock, wait_ms < 0 ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
    int error = errno;
    if (error == EINTR) continue;
    if (error == EWOULDBLOCK && tp_clock_ms() < end_ms) {
      nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
      continue;
    }
    close(*lock);
    return error == EWOULDBLOCK ? TP_ERR_BUSY : cannot_write(path, error);
  }
  return TP_OK;
}

void tp_file_unlock(int lock) { close(lock); }
