/*
 * Engines in files. A plan is code that runs on the device and in this process, and TensorRT does not notice
 * every change of one, so a plan lies in a container of ours: what it was built from and for, and a hash over
 * all of it, which is checked before TensorRT sees the plan. Only the file's owner may read or write it.
 */
#ifndef TP_TENSORRT_CACHE_H
#define TP_TENSORRT_CACHE_H

#include "cuda.h"
#include "file.h"
#include "tensorrt_settings.h"
#include "tensorrt_api.h"

/* A plan in a file that was read. Start with {0}; tp_trt_entry_free at the end. */
typedef struct tp_trt_entry {
  tp_bytes file;
  const uint8_t *plan;
  size_t plan_bytes;
} tp_trt_entry;

/* What an engine depends on, as lines of `name=value`: first where it can run, then what it was made from. */
int32_t tp_trt_key(const tp_trt *trt, const tp_cuda_device *device, const tp_options *options,
                   const tp_trt_settings *settings, const void *model, size_t bytes, tp_text *key);

/* The same for what was measured on a device: it fits every model. */
void tp_trt_device_key(const tp_trt *trt, const tp_cuda_device *device, tp_text *key);

/*
 * Whether nobody but `user` and root may change the files of the cache, or put others in their place: they
 * and their folder belong to one of both, and neither group nor others may write them. To be called before
 * anything there is opened. Errors: OPEN, ARGUMENT.
 */
int32_t tp_trt_cache_check(const char *path, uint32_t user);

/*
 * The entry of that key; false if there is none. `reason` then says why a file that is there cannot be used:
 * it is empty if there is no file.
 */
bool tp_trt_cache_read(const char *path, const tp_text *key, tp_trt_entry *entry, tp_text *reason);

/* Errors: OPEN, MEMORY. */
int32_t tp_trt_cache_write(const char *path, const tp_text *key, const tp_bytes *plan);

/* Whether a model's path names an engine: .trt, .engine or .plan. */
bool tp_trt_is_engine(const char *path);

/*
 * Reads an engine that a user names as the model: a container, which must be whole and for this TensorRT and
 * this device, or a bare plan, which only TensorRT can judge. Errors: OPEN, PARSE, MEMORY.
 */
int32_t tp_trt_engine_read(const char *path, const tp_trt *trt, const tp_cuda_device *device,
                           tp_trt_entry *entry);

void tp_trt_entry_free(tp_trt_entry *entry);

#endif
