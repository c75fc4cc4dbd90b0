/*
 * The part of CUDA's driver interface that we use, without its headers. libcuda.so.1 is the one file of CUDA
 * that is surely there where a device is; its functions are only ever added to, and a changed one gets a new
 * suffix. TensorRT's own runtime works in the device's primary context, and so do we: streams and memory are
 * the same for both.
 *
 * Every function returns 0 or an error number.
 */
#ifndef TP_CUDA_API_H
#define TP_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

typedef int CUdevice;
typedef struct CUctx *CUcontext;
typedef struct CUstr *CUstream;
typedef struct CUevt *CUevent;
typedef struct CUpool *CUmemoryPool;
typedef struct CUgrp *CUgraph;
typedef struct CUexe *CUgraphExec;
typedef uint64_t CUdeviceptr;

typedef struct CUuuid {
  unsigned char bytes[16];
} CUuuid;

/* Numbers of CUDA's enumerations, as far as they are used. */
#define CU_STREAM_NON_BLOCKING 1u
#define CU_EVENT_BLOCKING_SYNC 1u
#define CU_EVENT_DISABLE_TIMING 2u
#define CU_MEMHOSTALLOC_PORTABLE 1u
#define CU_MEMHOSTREGISTER_PORTABLE 1u
#define CU_ATTRIBUTE_MAJOR 75
#define CU_ATTRIBUTE_MINOR 76
#define CU_ATTRIBUTE_POOLS 115
#define CU_POOL_RELEASE_THRESHOLD 4
#define CU_POINTER_MEMORY_TYPE 2
#define CU_POINTER_ORDINAL 9
#define CU_POINTER_RANGE_START 11
#define CU_POINTER_RANGE_SIZE 12
#define CU_MEMORY_ON_DEVICE 2u
/* A capture that only this thread's calls can break. */
#define CU_CAPTURE_THREAD_LOCAL 1
#define CU_ERROR_MEMORY 2
#define CU_ERROR_NOT_READY 600

/* X(member, exported name, parameters) */
#define TP_CUDA_FUNCTIONS(X)                                                                          \
  X(init, cuInit, (unsigned flags))                                                                   \
  X(driver_version, cuDriverGetVersion, (int *version))                                               \
  X(device_count, cuDeviceGetCount, (int *count))                                                     \
  X(device_get, cuDeviceGet, (CUdevice * device, int ordinal))                                        \
  X(device_name, cuDeviceGetName, (char *name, int bytes, CUdevice device))                           \
  X(device_uuid, cuDeviceGetUuid_v2, (CUuuid * uuid, CUdevice device))                                \
  X(device_attribute, cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))             \
  X(context_retain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                 \
  X(context_set, cuCtxSetCurrent, (CUcontext context))                                                \
  X(context_push, cuCtxPushCurrent_v2, (CUcontext context))                                           \
  X(context_pop, cuCtxPopCurrent_v2, (CUcontext * context))                                           \
  X(error_name, cuGetErrorName, (int error, const char **name))                                       \
  X(error_text, cuGetErrorString, (int error, const char **text))                                     \
  X(stream_create, cuStreamCreateWithPriority, (CUstream * stream, unsigned flags, int priority))     \
  X(stream_destroy, cuStreamDestroy_v2, (CUstream stream))                                            \
  X(stream_wait, cuStreamSynchronize, (CUstream stream))                                              \
  X(event_create, cuEventCreate, (CUevent * event, unsigned flags))                                   \
  X(event_record, cuEventRecord, (CUevent event, CUstream stream))                                    \
  X(event_query, cuEventQuery, (CUevent event))                                                       \
  X(event_wait, cuEventSynchronize, (CUevent event))                                                  \
  X(event_destroy, cuEventDestroy_v2, (CUevent event))                                                \
  X(memory_take, cuMemAllocAsync, (CUdeviceptr * memory, size_t bytes, CUstream stream))              \
  X(memory_give, cuMemFreeAsync, (CUdeviceptr memory, CUstream stream))                               \
  X(memory_end, cuMemFree_v2, (CUdeviceptr memory))                                                   \
  X(pool_get, cuDeviceGetDefaultMemPool, (CUmemoryPool * pool, CUdevice device))                      \
  X(pool_set, cuMemPoolSetAttribute, (CUmemoryPool pool, int attribute, void *value))                 \
  X(host_take, cuMemHostAlloc, (void **memory, size_t bytes, unsigned flags))                         \
  X(host_give, cuMemFreeHost, (void *memory))                                                         \
  X(host_pin, cuMemHostRegister_v2, (void *memory, size_t bytes, unsigned flags))                     \
  X(host_unpin, cuMemHostUnregister, (void *memory))                                                  \
  X(memory_fill, cuMemsetD8Async, (CUdeviceptr to, unsigned char byte, size_t bytes, CUstream))       \
  X(to_device, cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream))      \
  X(to_host, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream))              \
  X(on_device, cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream))      \
  X(to_peer, cuMemcpyPeerAsync,                                                                       \
    (CUdeviceptr to, CUcontext there, CUdeviceptr from, CUcontext here, size_t bytes, CUstream))      \
  X(pointer_get, cuPointerGetAttribute, (void *value, int attribute, CUdeviceptr pointer))            \
  X(capture_begin, cuStreamBeginCapture_v2, (CUstream stream, int mode))                              \
  X(capture_end, cuStreamEndCapture, (CUstream stream, CUgraph * graph))                              \
  X(graph_prepare, cuGraphInstantiateWithFlags, (CUgraphExec * ready, CUgraph graph, uint64_t flags)) \
  X(graph_launch, cuGraphLaunch, (CUgraphExec ready, CUstream stream))                                \
  X(graph_drop, cuGraphDestroy, (CUgraph graph))                                                      \
  X(graph_end, cuGraphExecDestroy, (CUgraphExec ready))

#endif
