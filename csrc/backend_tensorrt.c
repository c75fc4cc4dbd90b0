/*
 * TensorrtTensor: so far a probe. It finds out what TensorRT needs and what this machine has, and says so.
 *
 * A TensorRT library is called only where the CUDA driver works: some versions end the process when CUDA does
 * not start.
 */
#include <string.h>

#include "backend.h"
#include "loader.h"
#include "status.h"

#define MAX_NAMED_DEVICES 8

/* CUDA's calling convention on 64-bit systems is C's; its results are 0 or an error number. */
typedef int (*cu_init)(unsigned flags);
typedef int (*cu_driver_get_version)(int *version);
typedef int (*cu_device_get_count)(int *count);
typedef int (*cu_device_get)(int *device, int ordinal);
typedef int (*cu_device_get_name)(char *name, int bytes, int device);
typedef int (*cu_get_error_name)(int error, const char **name);
typedef int32_t (*trt_version)(void);

static const tp_option_key keys[] = {{"backend", false}, {"path", false}, {NULL, false}};

static const char *cuda_error(void *driver, int error) {
  cu_get_error_name name_of = (cu_get_error_name)tp_library_function(driver, "cuGetErrorName");
  const char *name = NULL;
  return name_of != NULL && name_of(error, &name) == 0 && name != NULL ? name : "unknown error";
}

static void name_devices(void *driver, int count, tp_text *found) {
  cu_device_get get = (cu_device_get)tp_library_function(driver, "cuDeviceGet");
  cu_device_get_name name_of = (cu_device_get_name)tp_library_function(driver, "cuDeviceGetName");
  for (int i = 0; i < count && i < MAX_NAMED_DEVICES && get != NULL && name_of != NULL; i++) {
    int device;
    char name[256] = "";
    if (get(&device, i) != 0 || name_of(name, sizeof name, device) != 0) continue;
    name[sizeof name - 1] = '\0';
    tp_text_add(found, "%s%d: %s", i > 0 ? ", " : "", i, name);
  }
}

/* Devices that the driver shows; 0, with what is missing, if there is none to use. */
static int count_devices(tp_text *missing, tp_text *found) {
  tp_text tried = {0};
  void *driver = tp_library_open("libcuda.so.1", &tried);
  if (driver == NULL) {
    tp_text_add(missing, "no CUDA driver (tried %s)", tried.text);
    return 0;
  }
  cu_init init = (cu_init)tp_library_function(driver, "cuInit");
  cu_device_get_count count_of = (cu_device_get_count)tp_library_function(driver, "cuDeviceGetCount");
  cu_driver_get_version version_of = (cu_driver_get_version)tp_library_function(driver, "cuDriverGetVersion");
  if (init == NULL || count_of == NULL || version_of == NULL) {
    tp_text_add(missing, "no CUDA driver (libcuda.so.1 has no cuInit)");
    return 0;
  }
  int version = 0, count = 0;
  int error = init(0);
  if (error == 0) error = count_of(&count);
  if (error != 0) {
    tp_text_add(missing, "no usable CUDA device (the driver is present and answers %s)",
                cuda_error(driver, error));
    return 0;
  }
  if (count < 1) {
    tp_text_add(missing, "no CUDA device (the driver is present and shows 0 devices)");
    return 0;
  }
  (void)version_of(&version);
  tp_text_add(found, "driver for CUDA %d.%d with %d %s (", version / 1000, version % 1000 / 10, count,
              count == 1 ? "device" : "devices");
  name_devices(driver, count, found);
  tp_text_add(found, ")");
  return count;
}

/* Opens the first TensorRT there is. Asking for its version is safe without CUDA. */
static bool find_tensorrt(tp_text *missing, tp_text *found) {
  static const char *const names[] = {"libnvinfer.so.11", "libnvinfer.so.10", "libtensorrt_rtx.so.1"};
  tp_text tried = {0};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    void *library = tp_library_open(names[i], &tried);
    if (library == NULL) continue;
    trt_version version_of = (trt_version)tp_library_function(library, "getInferLibVersion");
    if (version_of == NULL) {
      tp_text_tried(&tried, names[i], "it has no getInferLibVersion");
      continue;
    }
    int32_t version = version_of();
    tp_text_add(found, "%s%s %d.%d.%d (%s)", found->length > 0 ? ", " : "",
                strstr(names[i], "rtx") != NULL ? "TensorRT for RTX" : "TensorRT", version / 10000,
                version / 100 % 100, version % 100, tp_library_path((tp_function)version_of, names[i]));
    return true;
  }
  tp_text_add(missing, "%sno TensorRT library (tried %s)", missing->length > 0 ? "; " : "", tried.text);
  return false;
}

static int32_t open_tensorrt(const tp_options *options, const void *model, uint64_t model_bytes,
                             tp_model_info *info, void **state) {
  (void)options;
  (void)model;
  (void)model_bytes;
  (void)info;
  (void)state;
  tp_text missing = {0}, found = {0};
  int devices = count_devices(&missing, &found);
  bool library = find_tensorrt(&missing, &found);
  if (devices == 0 || !library) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot run TensorRT on this machine: %s%s%s", missing.text,
                   found.length > 0 ? "; found " : "", found.text);
  }
  /* Here the execution through TensorRT goes: its logger, runtime and engine, and the instance functions
   * below. */
  return tp_fail(TP_ERR_UNSUPPORTED,
                 "cannot run TensorRT: trtpipe " TRTPIPE_VERSION " does not execute with it yet; found %s",
                 found.text);
}

/* `open` never succeeds, so nothing else of the table is reached. */
const tp_backend tp_backend_tensorrt = {.name = "TensorrtTensor", .keys = keys, .open = open_tensorrt};
