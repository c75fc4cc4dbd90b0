/* A cache's file that others may have put there, or may change, is refused before anything of it is read. */
#include <sys/stat.h>
#include <unistd.h>

#include "../tensorrt_cache.h"
#include "trt_fixture.h"

static char folder[] = "/tmp/trtpipe-owner-XXXXXX";
static char cache[64], timing[80], lock[80], other[64];

static int32_t load(void) {
  char options[128];
  uint32_t model = 0;
  onnx_writer w = negation(3);
  snprintf(options, sizeof options, "model::cache=%s", cache);
  int32_t status = open_trt(options, w.model.data, w.model.length, &model);
  if (status == TP_OK) CHECK_EQUAL(TP_OK, tp_model_close(model));
  onnx_free(&w);
  check_nothing_left();
  return status;
}

/* With this mode `path` is refused, and what is there stays as it is; without the write bits it is taken. */
static void refuses_mode(const char *path, mode_t mode, const char *what) {
  char part[192];
  struct stat before, after;
  CHECK_EQUAL(0, stat(path, &before));
  CHECK_EQUAL(0, chmod(path, mode));
  CHECK_EQUAL(0, stat(cache, &after));
  off_t size = after.st_size;
  snprintf(part, sizeof part, "the %s \"%s\" may be written by others than its owner", what, path);
  CHECK_FAILS(TP_ERR_OPEN, part, load());
  snprintf(part, sizeof part, "expected mode %03o, got %03o", (unsigned)(mode & 0755), (unsigned)mode);
  CHECK_ERROR(part);
  CHECK_EQUAL(0, stat(cache, &after));
  CHECK_EQUAL(size, after.st_size);
  CHECK_EQUAL(0, chmod(path, before.st_mode & 07777));
  CHECK_EQUAL(TP_OK, load());
}

static void modes(void) {
  refuses_mode(folder, 0770, "folder");
  refuses_mode(folder, 0702, "folder");
  refuses_mode(folder, 01777, "folder");
  refuses_mode(cache, 0660, "file");
  refuses_mode(cache, 0602, "file");
  refuses_mode(timing, 0620, "file");
  refuses_mode(lock, 0606, "file");
  CHECK_EQUAL(0, chmod(folder, 0755));
  CHECK_EQUAL(0, chmod(cache, 0644));
  CHECK_EQUAL(TP_OK, load());
}

/* Our own files as another user would see them. Root's are everybody's, so root's tests give them away. */
static void owners(void) {
  uint32_t self = (uint32_t)geteuid(), owner = self != 0 ? self : 12345;
  char part[192];
  const char *const paths[] = {folder, cache, timing, lock};
  CHECK_EQUAL(TP_OK, tp_trt_cache_check(cache, self));
  for (int i = 0; i < 4; i++) {
    if (self == 0) CHECK_EQUAL(0, chown(paths[i], owner, (gid_t)-1));
    snprintf(part, sizeof part, "the %s \"%s\" belongs to user %u; expected user %u",
             i == 0 ? "folder" : "file", paths[i], owner, owner + 1);
    if (self == 0 || i == 0) CHECK_FAILS(TP_ERR_OPEN, part, tp_trt_cache_check(cache, owner + 1));
    if (self != 0) continue;
    CHECK_FAILS(TP_ERR_OPEN, "belongs to user 12345; expected user 0, who runs this, or root", load());
    /* What is root's may be used by everybody. */
    CHECK_EQUAL(TP_OK, tp_trt_cache_check(cache, owner));
    CHECK_EQUAL(0, chown(paths[i], 0, (gid_t)-1));
    CHECK_EQUAL(TP_OK, tp_trt_cache_check(cache, owner));
  }
  CHECK_EQUAL(TP_OK, load());
}

static void links(void) {
  CHECK_EQUAL(0, rename(cache, other));
  CHECK_EQUAL(0, symlink(other, cache));
  CHECK_FAILS(TP_ERR_OPEN, "expected a file, got the link", load());
  CHECK_EQUAL(0, unlink(cache));
  CHECK_EQUAL(0, rename(other, cache));
  CHECK_EQUAL(0, unlink(lock));
  CHECK_EQUAL(0, symlink(other, lock));
  CHECK_FAILS(TP_ERR_OPEN, "expected a file, got the link", load());
  CHECK(access(other, F_OK) != 0);
  CHECK_EQUAL(0, unlink(lock));
  CHECK_EQUAL(TP_OK, load());
}

/* A path without a folder is one in the working directory; "/" is a folder, too. */
static void folders(void) {
  char here[4096];
  CHECK(getcwd(here, sizeof here) != NULL);
  CHECK_EQUAL(0, chdir(folder));
  CHECK_EQUAL(TP_OK, tp_trt_cache_check("model.trt", (uint32_t)geteuid()));
  CHECK_EQUAL(0, chmod(folder, 0777));
  CHECK_FAILS(TP_ERR_OPEN, "the folder \".\" may be written",
              tp_trt_cache_check("model.trt", (uint32_t)geteuid()));
  CHECK_EQUAL(0, chmod(folder, 0700));
  CHECK_EQUAL(0, chdir(here));
  CHECK_EQUAL(TP_OK, tp_trt_cache_check("/trtpipe-no-such-engine", 1));
  CHECK_FAILS(TP_ERR_OPEN, "the folder \"/nowhere\": No such file",
              tp_trt_cache_check("/nowhere/engine", (uint32_t)geteuid()));
}

int main(void) {
  need_fakes();
  CHECK(mkdtemp(folder) != NULL);
  snprintf(cache, sizeof cache, "%s/model.trt", folder);
  snprintf(timing, sizeof timing, "%s.timing", cache);
  snprintf(lock, sizeof lock, "%s.lock", cache);
  snprintf(other, sizeof other, "%s/other", folder);
  CHECK_EQUAL(TP_OK, load());
  CHECK_EQUAL(0, access(timing, F_OK));
  modes();
  owners();
  links();
  folders();
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command) == 0 ? 0 : 1;
}
