/* TensorRT's objects as C sees them: checking theirs, deleting theirs, making ours. */
#ifndef TP_TENSORRT_OBJECT_H
#define TP_TENSORRT_OBJECT_H

#include "tensorrt_api.h"

/*
 * What a function of TensorRT returned, if it is an object of that class; else NULL, with the last error set
 * to what was done and TensorRT's own words. Some versions return a small number instead of NULL on failure.
 */
void *tp_trt_object(void *returned, tp_trt_class class, int32_t status, const char *doing);

/* Deletes an outer object; NULL is ignored. */
void tp_trt_delete(void *outer);

/*
 * The table of an object that we make for TensorRT to call, at most TP_TRT_OWN_SLOTS functions. An object
 * starts with a pointer to `slots[0]`. TensorRT never deletes such an object.
 */
#define TP_TRT_OWN_SLOTS 8
typedef struct tp_trt_table {
  intptr_t offset_to_top;
  const void *type; /* set by tp_trt_table_finish */
  tp_function slots[TP_TRT_OWN_SLOTS];
} tp_trt_table;

/* Gives a table type information, where the process has a C++ runtime. Once, before its first use. */
void tp_trt_table_finish(tp_trt_table *table);

/* Functions that every such table has: the API's language, and a destructor, which is never called. */
int32_t tp_trt_language(const void *self);
void tp_trt_no_destructor(void *self);

#endif
