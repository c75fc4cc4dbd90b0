/* Opening the driver and its devices, and telling its errors. Streams and memory are cuda_queue.c. */
#include "cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "loader.h"
#include "memory.h"

#define MAX_NAMED_DEVICES 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock` until opened; constant afterwards, but for tp_cuda_device.lost. */
static tp_cuda process_cuda;
static bool opened;
/* Filled under `lock`, read without it: opening one takes long. */
static _Atomic(tp_cuda_device *) devices[TP_CUDA_DEVICES_MAX];

/* Errors after which nothing of the context works any more. */
static bool is_sticky(int error) {
  static const int sticky[] = {4,   46,  101, 201, 214, 220, 226, 700, 702, 709,
                               710, 714, 715, 716, 717, 718, 719, 721, 999};
  for (size_t i = 0; i < sizeof sticky / sizeof sticky[0]; i++) {
    if (sticky[i] == error) return true;
  }
  return false;
}

int32_t tp_cuda_fail(const tp_cuda *cuda, int error, int32_t status, const char *doing) {
  const char *name = NULL, *text = NULL;
  if (cuda->error_name(error, &name) != 0 || name == NULL) name = "an unknown error";
  if (cuda->error_text(error, &text) != 0 || text == NULL) text = "CUDA has no text for it";
  return tp_fail(status, "%s: %s (CUDA error %d: %s)", doing, name, error, text);
}

int32_t tp_cuda_check(tp_cuda_device *device, int error, int32_t status, const char *doing) {
  if (error == 0) return TP_OK;
  if (is_sticky(error)) {
    atomic_store_explicit(&device->lost, true, memory_order_relaxed);
    status = TP_ERR_DEVICE;
  } else if (error == CU_ERROR_MEMORY) {
    status = TP_ERR_MEMORY;
  }
  return tp_cuda_fail(device->cuda, error, status, doing);
}

/* Takes all functions from the library; the first that it lacks is named. */
static bool fill(void *library, tp_cuda *cuda, const char **lacking) {
#define FILL(member, name, parameters)                                   \
  cuda->member = (int(*) parameters)tp_library_function(library, #name); \
  if (cuda->member == NULL) {                                            \
    *lacking = #name;                                                    \
    return false;                                                        \
  }
  TP_CUDA_FUNCTIONS(FILL)
#undef FILL
  return true;
}

static void tell_found(const tp_cuda *cuda, tp_text *found) {
  tp_text_add(found, "driver for CUDA %d.%d with %d %s (", cuda->version / 1000, cuda->version % 1000 / 10,
              cuda->devices, cuda->devices == 1 ? "device" : "devices");
  for (int i = 0; i < cuda->devices && i < MAX_NAMED_DEVICES; i++) {
    CUdevice device;
    char name[256] = "";
    if (cuda->device_get(&device, i) != 0 || cuda->device_name(name, sizeof name, device) != 0) continue;
    name[sizeof name - 1] = '\0';
    tp_text_add(found, "%s%d: %s", i > 0 ? ", " : "", i, name);
  }
  tp_text_add(found, ")");
}

/* Opens the driver into `cuda`; false, with what is missing told, if no device can be used. */
static bool start(const char *path, tp_cuda *cuda, tp_text *missing) {
  tp_text tried = {0};
  void *library = tp_library_open(path, &tried);
  if (library == NULL) {
    tp_text_add(missing, "no CUDA driver (tried %s)", tried.text);
    return false;
  }
  const char *lacking = NULL;
  if (!fill(library, cuda, &lacking)) {
    tp_text_add(missing, "no usable CUDA driver (\"%s\" has no %s)", path, lacking);
    return false;
  }
  int error = cuda->init(0);
  if (error == 0) error = cuda->device_count(&cuda->devices);
  if (error == 0) error = cuda->driver_version(&cuda->version);
  if (error != 0) {
    const char *name = NULL;
    if (cuda->error_name(error, &name) != 0 || name == NULL) name = "an unknown error";
    tp_text_add(missing, "no usable CUDA device (the driver is present and answers %s)", name);
    return false;
  }
  if (cuda->devices < 1) tp_text_add(missing, "no CUDA device (the driver is present and shows 0 devices)");
  return cuda->devices >= 1;
}

int32_t tp_cuda_open(const tp_options *options, tp_text *missing, tp_text *found, const tp_cuda **cuda) {
  const char *path = tp_options_get(options, "cuda");
  pthread_mutex_lock(&lock);
  if (!opened) {
    process_cuda = (tp_cuda){0};
    opened = start(path != NULL && *path != '\0' ? path : "libcuda.so.1", &process_cuda, missing);
  }
  bool usable = opened;
  pthread_mutex_unlock(&lock);
  if (!usable) return TP_ERR_UNSUPPORTED;
  tell_found(&process_cuda, found);
  *cuda = &process_cuda;
  return TP_OK;
}

static void write_uuid(const CUuuid *from, char to[37]) {
  for (int i = 0; i < 16; i++) {
    bool dash = i == 4 || i == 6 || i == 8 || i == 10;
    to += snprintf(to, 4, "%s%02x", dash ? "-" : "", from->bytes[i]);
  }
}

static int32_t fill_device(const tp_cuda *cuda, int ordinal, tp_cuda_device *d) {
  static const char doing[] = "cannot open the CUDA device";
  CUuuid uuid;
  d->cuda = cuda;
  d->ordinal = ordinal;
  int error = cuda->device_get(&d->handle, ordinal);
  if (error == 0) error = cuda->device_name(d->name, sizeof d->name, d->handle);
  if (error == 0) error = cuda->device_uuid(&uuid, d->handle);
  if (error == 0) error = cuda->device_attribute(&d->major, CU_ATTRIBUTE_MAJOR, d->handle);
  if (error == 0) error = cuda->device_attribute(&d->minor, CU_ATTRIBUTE_MINOR, d->handle);
  int pools = 0;
  if (error == 0) error = cuda->device_attribute(&pools, CU_ATTRIBUTE_POOLS, d->handle);
  if (error == 0) error = cuda->context_retain(&d->context, d->handle);
  if (error != 0) return tp_cuda_check(d, error, TP_ERR_UNSUPPORTED, doing);
  d->name[sizeof d->name - 1] = '\0';
  write_uuid(&uuid, d->uuid);
  if (pools == 0) {
    return tp_fail(TP_ERR_UNSUPPORTED, "%s %d (%s): it has no memory pools", doing, ordinal, d->name);
  }
  /* Memory that was given back stays with the process: the next batch of its size takes it without a wait. */
  CUmemoryPool pool;
  uint64_t keep = UINT64_MAX;
  error = cuda->pool_get(&pool, d->handle);
  if (error == 0) error = cuda->pool_set(pool, CU_POOL_RELEASE_THRESHOLD, &keep);
  return tp_cuda_check(d, error, TP_ERR_UNSUPPORTED, doing);
}

int32_t tp_cuda_device_open(const tp_cuda *cuda, uint32_t ordinal, tp_cuda_device **device) {
  if (ordinal >= (uint32_t)cuda->devices || ordinal >= TP_CUDA_DEVICES_MAX) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot use option \"device_id\": expected a number below %d, the machine's CUDA devices, "
                   "got %u",
                   cuda->devices, ordinal);
  }
  int32_t status = TP_OK;
  pthread_mutex_lock(&lock);
  if (devices[ordinal] == NULL) {
    tp_cuda_device *made = tp_alloc(sizeof *made);
    status = made == NULL ? TP_ERR_MEMORY : fill_device(cuda, (int)ordinal, made);
    if (status == TP_OK) devices[ordinal] = made;
    else tp_free(made);
  }
  *device = devices[ordinal];
  pthread_mutex_unlock(&lock);
  return status == TP_OK ? tp_cuda_enter(*device) : status;
}

tp_cuda_device *tp_cuda_device_at(uint32_t ordinal) {
  return ordinal < TP_CUDA_DEVICES_MAX ? devices[ordinal] : NULL;
}

int32_t tp_cuda_enter(tp_cuda_device *device) {
  if (atomic_load_explicit(&device->lost, memory_order_relaxed)) {
    return tp_fail(TP_ERR_DEVICE,
                   "cannot use CUDA device %d (%s): an earlier error has made it unusable for this process",
                   device->ordinal, device->name);
  }
  int error = device->cuda->context_set(device->context);
  return tp_cuda_check(device, error, TP_ERR_DEVICE, "cannot use the CUDA device on this thread");
}
