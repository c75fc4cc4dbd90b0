/*
 * CUDA: one driver for the process, opened for good, and one entry for each of its devices.
 *
 * Threads: everything here may be called from any thread. What needs a context (all that takes a device's
 * stream, event or memory) needs tp_cuda_enter on that thread first.
 */
#ifndef TP_CUDA_H
#define TP_CUDA_H

#include <stdatomic.h>
#include <stdbool.h>

#include "cuda_api.h"
#include "options.h"
#include "text.h"

/* The process's driver. Filled once, then constant. */
typedef struct tp_cuda {
#define TP_CUDA_MEMBER(member, name, parameters) int(*member) parameters;
  TP_CUDA_FUNCTIONS(TP_CUDA_MEMBER)
#undef TP_CUDA_MEMBER
  int version; /* 13000 is CUDA 13.0 */
  int devices;
} tp_cuda;

typedef struct tp_cuda_device {
  const tp_cuda *cuda;
  int ordinal;
  CUdevice handle;
  CUcontext context; /* the primary one, retained for good */
  int major, minor;  /* compute capability */
  char name[256];
  char uuid[37];
  /* Set when an error has made the context unusable; only a new process gets another. */
  _Atomic bool lost;
} tp_cuda_device;

/*
 * The process's driver, started on first use: option "cuda" (a path), else libcuda.so.1. What is missing, or
 * what was found, is added to the texts. Errors: UNSUPPORTED, without a text of its own.
 */
int32_t tp_cuda_open(const tp_options *options, tp_text *missing, tp_text *found, const tp_cuda **cuda);

/* Devices of one machine that can be used: their numbers are below this. */
#define TP_CUDA_DEVICES_MAX 64

/* The device of that number if it was opened, else NULL. Never blocks. */
tp_cuda_device *tp_cuda_device_at(uint32_t ordinal);

/* The device of that number, with its context. Errors: ARGUMENT, UNSUPPORTED, MEMORY, DEVICE. */
int32_t tp_cuda_device_open(const tp_cuda *cuda, uint32_t ordinal, tp_cuda_device **device);

/* Makes the device's context the thread's. Errors: DEVICE. */
int32_t tp_cuda_enter(tp_cuda_device *device);

/*
 * TP_OK if `error` is 0. Else the last error says what was done, with CUDA's name and text, and the status is
 * DEVICE where the context is lost, MEMORY where the device's memory is used up, else `status`.
 */
int32_t tp_cuda_check(tp_cuda_device *device, int error, int32_t status, const char *doing);

/* The same for failures before there is a device. */
int32_t tp_cuda_fail(const tp_cuda *cuda, int error, int32_t status, const char *doing);

/* A stream that does not wait for the default one, and an event to wait for it with. */
typedef struct tp_cuda_queue {
  tp_cuda_device *device;
  CUstream stream;
  CUevent done;
  uint32_t spin_us; /* busy wait before the thread sleeps */
} tp_cuda_queue;

/* Errors: MEMORY, DEVICE. Needs tp_cuda_enter, as all below. */
int32_t tp_cuda_queue_open(tp_cuda_device *device, uint32_t spin_us, tp_cuda_queue *queue);
/* Waits for what is queued; also for one that was never opened ({0}). */
void tp_cuda_queue_close(tp_cuda_queue *queue);
/* Waits until everything queued so far is done. Errors: EXECUTION, DEVICE. */
int32_t tp_cuda_queue_wait(const tp_cuda_queue *queue, const char *doing);

/* Device memory of at least `bytes`; what it held is lost. {0}: none yet. */
typedef struct tp_cuda_memory {
  CUdeviceptr at;
  uint64_t bytes;    /* from `at` on */
  CUdeviceptr taken; /* what the pool gave: `at` lies behind it where more alignment was asked for */
} tp_cuda_memory;

/* Grows it if needed, in the order of the stream. A pool aligns to 256 bytes; more has to be asked for, as a
 * power of two (0: any will do). Errors: MEMORY, DEVICE. */
int32_t tp_cuda_memory_fit(const tp_cuda_queue *queue, tp_cuda_memory *memory, uint64_t bytes,
                           uint64_t alignment);
void tp_cuda_memory_free(const tp_cuda_queue *queue, tp_cuda_memory *memory);

/* Host memory that the device reads and writes directly. Enters the device itself. Errors: MEMORY, DEVICE. */
int32_t tp_cuda_host_alloc(tp_cuda_device *device, uint64_t bytes, void **memory);
void tp_cuda_host_free(tp_cuda_device *device, void *memory);

/*
 * Lets all devices read and write callers' memory directly, in whole pages, until tp_cuda_unpin of `pin`.
 * Memory that lies within what is pinned already shares it, whoever pinned it and for which device. `pin` is
 * NULL where the system refuses: such memory is copied through tp_cuda_host_alloc's. Enters the device
 * itself. Errors: MEMORY (of our own), DEVICE. cuda_pin.c.
 */
int32_t tp_cuda_pin(tp_cuda_device *device, void *memory, uint64_t bytes, void **pin);
void tp_cuda_unpin(void *pin);

#endif
