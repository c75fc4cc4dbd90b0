/*
 * The part of TensorRT that we use, without its headers. TensorRT's objects are C++ objects, called here
 * through their tables of virtual functions (Itanium C++ ABI, as on every 64-bit Linux).
 *
 * What the library hands out is an outer object of 16 bytes: its own table, and at offset 8 a pointer to the
 * implementation. Calls go straight to the implementation's table; where an object is an argument, it is the
 * outer one. To delete an object is slot 1 of the outer table. The ONNX parser has no outer object.
 *
 * Within a major version the tables only grow, so a function's slot is the same in every later version. A
 * major version that is not in the table below must never be called: a wrong slot is a call of another
 * function.
 */
#ifndef TP_TENSORRT_API_H
#define TP_TENSORRT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda_api.h"
#include "loader.h"

/* nvinfer1::Dims. It is returned through a hidden pointer, as C does with a struct of this size. */
typedef struct tp_trt_dims {
  int32_t rank; /* -1: the question had no answer */
  int64_t dims[8];
} tp_trt_dims;

/* nvinfer1::InterfaceInfo. */
typedef struct tp_trt_interface {
  const char *kind;
  int32_t major, minor;
} tp_trt_interface;

/* Numbers of TensorRT's enumerations, as far as they are used. */
#define TRT_FLOAT 0
#define TRT_HALF 1
#define TRT_INT8 2
#define TRT_INT32 3
#define TRT_BOOL 4
#define TRT_UINT8 5
#define TRT_BF16 7
#define TRT_INT64 8
#define TRT_MODE_INPUT 1
#define TRT_MODE_OUTPUT 2
#define TRT_LOCATION_DEVICE 0
#define TRT_FORMAT_LINEAR 0
#define TRT_SELECT_MIN 0
#define TRT_SELECT_OPT 1
#define TRT_SELECT_MAX 2
#define TRT_SEVERITY_ERROR 1
#define TRT_SEVERITY_WARNING 2
#define TRT_STRATEGY_STATIC 0
#define TRT_STRATEGY_USER_MANAGED 2
#define TRT_POOL_WORKSPACE 0
#define TRT_COMPATIBLE_AMPERE_PLUS 1
#define TRT_COMPATIBLE_SAME_CAPABILITY 2 /* since 10.9 */
#define TRT_INFORMATION_JSON 1
#define TRT_FLAG_TF32 6
/* In 10 only; 11 and RTX take precision from the model's own types. */
#define TRT10_FLAG_FP16 0
#define TRT10_FLAG_BF16 17
#define TRT10_NETWORK_STRONGLY_TYPED 2u
/* RTX: engines whose runs can be captured, because they take no memory while they run. */
#define TRT_RTX_FLAG_USER_ALLOCATION 28
/* RTX: engines for the device that they are built on. */
#define TRT_RTX_THIS_DEVICE 1

/* Classes, by the names that their type information carries. */
#define TP_TRT_CLASSES(X)                              \
  X(RUNTIME, "N8nvinfer14apiv8VRuntimeE")              \
  X(ENGINE, "N8nvinfer14apiv11VCudaEngineE")           \
  X(CONTEXT, "N8nvinfer14apiv17VExecutionContextE")    \
  X(BUILDER, "N8nvinfer14apiv8VBuilderE")              \
  X(CONFIG, "N8nvinfer14apiv14VBuilderConfigE")        \
  X(NETWORK, "N8nvinfer14apiv18VNetworkDefinitionE")   \
  X(TENSOR, "N8nvinfer14apiv7VTensorE")                \
  X(TIMING, "N8nvinfer14apiv12VTimingCacheE")          \
  X(PROFILE, "N8nvinfer14apiv20VOptimizationProfileE") \
  X(PLAN, "N8nvinfer14apiv11VHostMemoryE")             \
  X(INSPECTOR, "N8nvinfer14apiv16VEngineInspectorE")   \
  X(PARSER, "N12nvonnxparser7IParserE")                \
  X(PARSER_ERROR, "N12nvonnxparser12IParserErrorE")

/*
 * X(id, result, parameters, slot in 10, first minor of 10, slot in 11, first minor of 11, slot in RTX 1.7)
 * -1: not there. The first word of an id is the class; `self` is the implementation.
 */
#define TP_TRT_SLOTS(X)                                                                                     \
  X(runtime_deserialize, void *, (void *self, const void *plan, size_t bytes), 3, 0, 3, 0, 3)               \
  X(runtime_allow_host_code, void, (void *self, bool allow), 21, 0, 20, 0, 20)                              \
  X(runtime_allows_host_code, bool, (void *self), 22, 0, 21, 0, 21)                                         \
  X(engine_create_context, void *, (void *self, int32_t strategy), 5, 0, 5, 0, 5)                           \
  X(engine_profiles, int32_t, (void *self), 10, 0, 8, 0, 8)                                                 \
  X(engine_shape, tp_trt_dims, (void *self, const char *name), 19, 0, 15, 0, 15)                            \
  X(engine_type, int32_t, (void *self, const char *name), 20, 0, 16, 0, 16)                                 \
  X(engine_location, int32_t, (void *self, const char *name), 21, 0, 17, 0, 17)                             \
  X(engine_mode, int32_t, (void *self, const char *name), 23, 0, 19, 0, 19)                                 \
  X(engine_format, int32_t, (void *self, const char *name), 26, 0, 22, 0, 22)                               \
  X(engine_profile_shape, tp_trt_dims, (void *self, const char *name, int32_t profile, int32_t select), 29, \
    0, 25, 0, 25)                                                                                           \
  X(engine_tensors, int32_t, (void *self), 30, 0, 26, 0, 26)                                                \
  X(engine_tensor_name, const char *, (void *self, int32_t index), 31, 0, 27, 0, 27)                        \
  X(engine_inspector, void *, (void *self), 18, 0, 14, 0, 14)                                               \
  X(engine_scratch, int64_t, (void *self), 52, 1, 44, 0, 44)                                                \
  X(context_profile, int32_t, (void *self), 11, 0, 11, 0, 11)                                               \
  X(context_set_profile, bool, (void *self, int32_t profile, CUstream stream), 17, 0, 16, 0, 16)            \
  X(context_set_shape, bool, (void *self, const char *name, const tp_trt_dims *dims), 21, 0, 20, 0, 20)     \
  X(context_shape, tp_trt_dims, (void *self, const char *name), 22, 0, 21, 0, 21)                           \
  X(context_set_address, bool, (void *self, const char *name, void *address), 24, 0, 23, 0, 23)             \
  X(context_infer_shapes, int32_t, (void *self, int32_t room, const char **missing), 28, 0, 27, 0, 27)      \
  X(context_set_output_allocator, bool, (void *self, const char *name, void *allocator), 32, 0, 31, 0, 31)  \
  X(context_enqueue, bool, (void *self, CUstream stream), 37, 0, 36, 0, 36)                                 \
  X(context_set_scratch, void, (void *self, void *memory, int64_t bytes), 49, 1, 48, 0, 48)                 \
  X(context_capturable, bool, (void *self, CUstream stream), -1, 0, -1, 0, 52)                              \
  X(builder_create_config, void *, (void *self), 7, 0, 5, 0, 5)                                             \
  X(builder_create_network, void *, (void *self, uint32_t flags), 8, 0, 6, 0, 6)                            \
  X(builder_create_profile, void *, (void *self), 9, 0, 7, 0, 7)                                            \
  X(builder_build, void *, (void *self, void *network, void *config), 14, 0, 11, 0, 11)                     \
  X(config_clear_flag, void, (void *self, int32_t flag), 10, 0, 8, 0, 8)                                    \
  X(config_set_flag, void, (void *self, int32_t flag), 11, 0, 9, 0, 9)                                      \
  X(config_add_profile, int32_t, (void *self, const void *profile), 25, 0, 23, 0, 23)                       \
  X(config_set_limit, void, (void *self, int32_t pool, size_t bytes), 43, 0, 32, 0, 32)                     \
  X(config_limit, size_t, (void *self, int32_t pool), 44, 0, 33, 0, 33)                                     \
  X(config_set_level, void, (void *self, int32_t level), 47, 0, 36, 0, 36)                                  \
  X(config_create_timing, void *, (void *self, const void *data, size_t bytes), 40, 0, 29, 0, 29)           \
  X(config_set_timing, bool, (void *self, const void *timing, bool ignore_mismatch), 41, 0, 30, 0, 30)      \
  X(config_set_compatibility, void, (void *self, int32_t level), 49, 0, 38, 0, 38)                          \
  X(config_set_monitor, void, (void *self, void *monitor), 56, 0, 45, 0, 45)                                \
  X(config_set_capabilities, bool, (void *self, int32_t count), -1, 0, -1, 0, 55)                           \
  X(config_set_capability, bool, (void *self, int32_t capability, int32_t index), -1, 0, -1, 0, 57)         \
  X(network_inputs, int32_t, (void *self), 14, 0, 14, 0, 14)                                                \
  X(network_input, void *, (void *self, int32_t index), 15, 0, 15, 0, 15)                                   \
  X(network_outputs, int32_t, (void *self), 16, 0, 16, 0, 16)                                               \
  X(tensor_name, const char *, (void *self), 3, 0, 3, 0, 3)                                                 \
  X(tensor_shape, tp_trt_dims, (void *self), 5, 0, 5, 0, 5)                                                 \
  X(tensor_is_shape, bool, (void *self), 21, 0, 15, 0, 11)                                                  \
  X(profile_set_shape, bool, (void *self, const char *name, int32_t select, const tp_trt_dims *dims), 2, 0, \
    2, 0, 2)                                                                                                \
  X(profile_is_valid, bool, (void *self), 9, 0, 7, 0, 7)                                                    \
  X(plan_data, void *, (void *self), 2, 0, 2, 0, 2)                                                         \
  X(plan_bytes, size_t, (void *self), 3, 0, 3, 0, 3)                                                        \
  X(timing_serialize, void *, (void *self), 2, 0, 2, 0, 2)                                                  \
  X(inspector_engine, const char *, (void *self, int32_t format), 6, 0, 6, 0, 6)                            \
  X(parser_parse, bool, (void *self, const void *model, size_t bytes, const char *path), 0, 0, 0, 0, 0)     \
  X(parser_errors, int32_t, (void *self), 5, 0, 3, 0, 3)                                                    \
  X(parser_error, void *, (void *self, int32_t index), 6, 0, 4, 0, 4)                                       \
  X(parser_delete, void, (void *self), 9, 0, 7, 0, 7)                                                       \
  X(error_description, const char *, (void *self), 1, 0, 1, 0, 1)                                           \
  X(error_node, int32_t, (void *self), 5, 0, 5, 0, 5)                                                       \
  X(error_node_name, const char *, (void *self), 6, 0, 6, 0, 6)                                             \
  X(error_operator, const char *, (void *self), 7, 0, 7, 0, 7)

#define TP_TRT_ID(id, ...) TP_TRT_##id,
typedef enum tp_trt_id { TP_TRT_SLOTS(TP_TRT_ID) TP_TRT_SLOT_COUNT } tp_trt_id;
#undef TP_TRT_ID

#define TP_TRT_TYPE(id, result, parameters, ...) typedef result(*tp_trt_fn_##id) parameters;
TP_TRT_SLOTS(TP_TRT_TYPE)
#undef TP_TRT_TYPE

#define TP_TRT_CLASS(id, name) TP_TRT_CLASS_##id,
typedef enum tp_trt_class { TP_TRT_CLASSES(TP_TRT_CLASS) TP_TRT_CLASS_COUNT } tp_trt_class;
#undef TP_TRT_CLASS

typedef enum tp_trt_family { TP_TRT_10, TP_TRT_11, TP_TRT_RTX } tp_trt_family;

/* The process's TensorRT. Filled once, then constant. */
typedef struct tp_trt {
  tp_trt_family family;
  int32_t version;                  /* as the library numbers it: 101501 is 10.15.1, 10701 is RTX 1.7.1 */
  char name[48];                    /* e.g. "TensorRT 10.15.1" */
  char path[4096];                  /* of the library */
  int16_t slots[TP_TRT_SLOT_COUNT]; /* -1: this version has no such function */
  void *(*create_runtime)(void *logger, int32_t version);
  void *(*create_builder)(void *logger, int32_t version);
  void *logger;
} tp_trt;

/* The implementation behind an outer object. */
static inline void *tp_trt_impl(void *outer) { return ((void **)outer)[1]; }

/* A function of an object's own table. */
static inline tp_function tp_trt_method(const tp_trt *trt, void *self, tp_trt_id id) {
  return (*(const tp_function *const *)self)[trt->slots[id]];
}

/* Calls a function of an outer object's implementation, or of a direct object: a parser or a parser's error.
 */
#define TRT(trt, id, outer, ...) TRT_DIRECT(trt, id, tp_trt_impl(outer), __VA_ARGS__)
#define TRT0(trt, id, outer) TRT_DIRECT0(trt, id, tp_trt_impl(outer))
#define TRT_DIRECT(trt, id, self, ...) \
  (((tp_trt_fn_##id)tp_trt_method(trt, self, TP_TRT_##id))(self, __VA_ARGS__))
#define TRT_DIRECT0(trt, id, self) (((tp_trt_fn_##id)tp_trt_method(trt, self, TP_TRT_##id))(self))

#endif
