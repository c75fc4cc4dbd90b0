/*
 * The part of ONNX Runtime's C interface that we use, without its headers. OrtGetApiBase()->GetApi(version)
 * gives a table of functions that only ever grows: a function's place in it is the same in every later
 * version.
 *
 * Every slot below exists since version 12 or earlier; we ask for TP_ORT_VERSION. Functions that return
 * OrtStatus * give NULL on success, else a status that ReleaseStatus must be given.
 */
#ifndef TP_ONNX_API_H
#define TP_ONNX_API_H

#include <stddef.h>
#include <stdint.h>

/* Oldest ONNX Runtime that is accepted: 1.17. */
#define TP_ORT_VERSION 17u
/* The first with TensorTypeAndShape_HasShape (slot TP_ORT_HAS_SHAPE): 1.24. Not needed, but better to have.
 */
#define TP_ORT_VERSION_HAS_SHAPE 24u
#define TP_ORT_HAS_SHAPE 390

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtShapeInfo OrtShapeInfo; /* OrtTensorTypeAndShapeInfo */

/* Numbers of ONNX Runtime's enumerations, as far as they are used. */
#define ORT_LOG_FATAL 4
#define ORT_SEQUENTIAL 0
#define ORT_ALLOCATOR_DEVICE 0
#define ORT_MEMORY_DEFAULT 0
#define ORT_CODE_NO_SUCH_FILE 3
#define ORT_TYPE_TENSOR 1

/* Any function of the table, before its type is known. */
typedef void (*tp_ort_function)(void);

/* What OrtGetApiBase returns. */
typedef struct OrtApiBase {
  const tp_ort_function *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;

/* X(name, slot, result, parameters) */
#define TP_ORT_FUNCTIONS(X)                                                                                \
  X(GetErrorCode, 1, int, (const OrtStatus *status))                                                       \
  X(GetErrorMessage, 2, const char *, (const OrtStatus *status))                                           \
  X(CreateEnv, 3, OrtStatus *, (int log_level, const char *log_id, OrtEnv **out))                          \
  X(CreateSession, 7, OrtStatus *,                                                                         \
    (const OrtEnv *, const char *path, const OrtSessionOptions *, OrtSession **out))                       \
  X(CreateSessionFromArray, 8, OrtStatus *,                                                                \
    (const OrtEnv *, const void *model, size_t bytes, const OrtSessionOptions *, OrtSession **out))        \
  X(Run, 9, OrtStatus *,                                                                                   \
    (OrtSession *, const OrtRunOptions *, const char *const *input_names, const OrtValue *const *inputs,   \
     size_t input_count, const char *const *output_names, size_t output_count, OrtValue **outputs))        \
  X(CreateSessionOptions, 10, OrtStatus *, (OrtSessionOptions * *out))                                     \
  X(SetSessionExecutionMode, 13, OrtStatus *, (OrtSessionOptions *, int mode))                             \
  X(SetIntraOpNumThreads, 24, OrtStatus *, (OrtSessionOptions *, int threads))                             \
  X(SetInterOpNumThreads, 25, OrtStatus *, (OrtSessionOptions *, int threads))                             \
  X(SessionGetInputCount, 30, OrtStatus *, (const OrtSession *, size_t *out))                              \
  X(SessionGetOutputCount, 31, OrtStatus *, (const OrtSession *, size_t *out))                             \
  X(SessionGetInputTypeInfo, 33, OrtStatus *, (const OrtSession *, size_t index, OrtTypeInfo **out))       \
  X(SessionGetOutputTypeInfo, 34, OrtStatus *, (const OrtSession *, size_t index, OrtTypeInfo **out))      \
  X(SessionGetInputName, 36, OrtStatus *, (const OrtSession *, size_t index, OrtAllocator *, char **out))  \
  X(SessionGetOutputName, 37, OrtStatus *, (const OrtSession *, size_t index, OrtAllocator *, char **out)) \
  X(CreateRunOptions, 39, OrtStatus *, (OrtRunOptions * *out))                                             \
  X(RunOptionsSetTerminate, 46, OrtStatus *, (OrtRunOptions *))                                            \
  X(RunOptionsUnsetTerminate, 47, OrtStatus *, (OrtRunOptions *))                                          \
  X(CreateTensorWithDataAsOrtValue, 49, OrtStatus *,                                                       \
    (const OrtMemoryInfo *, void *data, size_t bytes, const int64_t *shape, size_t rank, int dtype,        \
     OrtValue **out))                                                                                      \
  X(IsTensor, 50, OrtStatus *, (const OrtValue *, int *out))                                               \
  X(GetTensorMutableData, 51, OrtStatus *, (OrtValue *, void **out))                                       \
  X(CastTypeInfoToTensorInfo, 55, OrtStatus *, (const OrtTypeInfo *, const OrtShapeInfo **out))            \
  X(GetOnnxTypeFromTypeInfo, 56, OrtStatus *, (const OrtTypeInfo *, int *out))                             \
  X(GetTensorElementType, 60, OrtStatus *, (const OrtShapeInfo *, int *out))                               \
  X(GetDimensionsCount, 61, OrtStatus *, (const OrtShapeInfo *, size_t *out))                              \
  X(GetDimensions, 62, OrtStatus *, (const OrtShapeInfo *, int64_t *dims, size_t count))                   \
  X(GetTensorTypeAndShape, 65, OrtStatus *, (const OrtValue *, OrtShapeInfo **out))                        \
  X(CreateCpuMemoryInfo, 69, OrtStatus *, (int allocator_type, int memory_type, OrtMemoryInfo **out))      \
  X(AllocatorFree, 76, OrtStatus *, (OrtAllocator *, void *memory))                                        \
  X(GetAllocatorWithDefaultOptions, 78, OrtStatus *, (OrtAllocator * *out))                                \
  X(ReleaseEnv, 92, void, (OrtEnv *))                                                                      \
  X(ReleaseStatus, 93, void, (OrtStatus *))                                                                \
  X(ReleaseMemoryInfo, 94, void, (OrtMemoryInfo *))                                                        \
  X(ReleaseSession, 95, void, (OrtSession *))                                                              \
  X(ReleaseValue, 96, void, (OrtValue *))                                                                  \
  X(ReleaseRunOptions, 97, void, (OrtRunOptions *))                                                        \
  X(ReleaseTypeInfo, 98, void, (OrtTypeInfo *))                                                            \
  X(ReleaseTensorTypeAndShapeInfo, 99, void, (OrtShapeInfo *))                                             \
  X(ReleaseSessionOptions, 100, void, (OrtSessionOptions *))                                               \
  X(AddSessionConfigEntry, 130, OrtStatus *, (OrtSessionOptions *, const char *key, const char *value))

/* The process's ONNX Runtime. Filled once, then constant. */
typedef struct tp_ort {
#define TP_ORT_MEMBER(name, slot, result, parameters) result(*name) parameters;
  TP_ORT_FUNCTIONS(TP_ORT_MEMBER)
#undef TP_ORT_MEMBER
  /* NULL where the library is older than TP_ORT_VERSION_HAS_SHAPE. C's int where theirs is bool: only the low
   * byte counts. */
  uint8_t (*HasShape)(const OrtShapeInfo *);
  OrtEnv *env;
  OrtMemoryInfo *cpu;      /* names host memory that is not ONNX Runtime's own */
  OrtAllocator *allocator; /* of names that ONNX Runtime gives out */
  char version[32];        /* e.g. "1.30.0" */
  char path[4096];         /* of the library */
} tp_ort;

#endif
