/*
 * A TensorRT for tests, built once for each family (FAKE_FAMILY 10, 11 or 1: TensorRT for RTX). Its objects
 * lie in memory as the real ones do: an implementation with a table of its own, and the outer object as a
 * second base behind it. Slots that no test needs end the process. The slot numbers were taken from
 * TensorRT's headers and libraries a second time, not from the product's table.
 *
 * It understands models of Identity, Neg, Abs, Relu and NonZero, one chain of nodes from an input to each
 * output. NonZero here gives each row as many copies of its first number as the first row's first number
 * says: an output whose size only its data decide.
 */
#ifndef FAKE_TRT_H
#define FAKE_TRT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT(in10, in11, in_rtx) (FAKE_FAMILY == 10 ? (in10) : FAKE_FAMILY == 11 ? (in11) : (in_rtx))
#define NONE (-1)
#define SLOTS 80

typedef void (*fake_function)(void);

typedef struct fake_dims {
  int32_t count;
  int64_t at[8];
} fake_dims;

/* ---- Objects ------------------------------------------------------------------------------------------- */

typedef struct fake_table {
  intptr_t offset_to_top;
  const void *type;
  fake_function slots[SLOTS];
} fake_table;

/* The start of every object. What factories return is &outer; what methods are called on is the whole. */
typedef struct fake_object {
  const fake_function *table;
  char padding[32];
  struct {
    const fake_function *table;
    void *implementation;
  } outer;
  void (*end)(struct fake_object *self);
} fake_object;

/* Makes a class: its two tables, with type information as a compiler would write it. */
typedef struct fake_class {
  const char *name; /* mangled, of the interface: N8nvinfer14apiv8VRuntimeE */
  fake_table table, outer;
} fake_class;

void fake_class_begin(fake_class *class, const char *name);
void fake_class_slot(fake_class *class, int slot, fake_function function);
/* A table without an outer object, for the parser's classes. */
void *fake_direct_begin(fake_class *class, const char *name);

/* A new object of `bytes`; `end` frees what it holds, not itself. */
void *fake_make(const fake_class *class, size_t bytes, void (*end)(fake_object *self));
void *fake_outer(void *object);
/* The object behind an outer pointer. */
void *fake_inner(void *outer);

/* ---- What tests see ------------------------------------------------------------------------------------ */

/* Lets the n-th call from now of what is named so fail, with a line to the logger; 0 takes that back. */
void fake_trt_fail(const char *name, int n);
/* Objects that were not deleted. */
int fake_trt_live(void);

/* ---- What the parts share ------------------------------------------------------------------------------ */

/* True if this call was ordered to fail; the logger was told. */
bool fake_fails(const char *name);
void fake_log(int32_t severity, const char *text);
void fake_take_logger(void *logger);
/* Ends the process with the reason: the caller has broken a rule of TensorRT. */
void fake_broken(const char *rule);
/* The calling thread must have a context, unless this family can do without one. */
void fake_need_context(const char *what);

#define FAKE_TENSORS 8
#define FAKE_OPS 8
#define FAKE_PROFILE_BYTES 64

typedef struct fake_tensor {
  char name[64];
  int32_t type; /* TensorRT's number */
  fake_dims shape;
  fake_dims least, best, largest; /* of the profile; count -1: none */
} fake_tensor;

typedef enum fake_op { FAKE_IDENTITY, FAKE_NEG, FAKE_ABS, FAKE_RELU, FAKE_NONZERO } fake_op;

/* A parsed model, and after a build a plan. */
typedef struct fake_graph {
  char magic[8];
  int32_t version;
  int32_t inputs, outputs;
  fake_tensor tensors[2 * FAKE_TENSORS]; /* inputs, then outputs from FAKE_TENSORS on */
  int32_t source[FAKE_TENSORS];          /* input that an output comes from */
  int32_t op_count[FAKE_TENSORS];
  int32_t ops[FAKE_TENSORS][FAKE_OPS]; /* fake_op, last one first */
  int32_t precise;                     /* TF32 was forbidden */
  int32_t half;                        /* FP16 was allowed */
  int32_t strong;                      /* strongly typed */
  int32_t capturable;                  /* its runs take no memory */
  int32_t compatible;                  /* with which devices besides its own */
  uint64_t workspace;
} fake_graph;

/* What a parser could not do. */
typedef struct fake_problem {
  char text[200], name[64], op[64];
  int32_t node;
} fake_problem;

/* Reads an ONNX model. */
bool fake_read_onnx(const uint8_t *bytes, size_t count, fake_graph *graph, fake_problem *problem);

typedef struct fake_network {
  fake_object base;
  fake_graph graph;
  void *tensors[FAKE_TENSORS]; /* objects of the inputs */
} fake_network;

void fake_runtime_classes(void);
void fake_builder_classes(void);
void fake_context_classes(void);

/* A context of a plan; its engine must outlive it. */
typedef struct fake_engine {
  fake_object base;
  fake_graph graph;
  _Atomic int contexts;
} fake_engine;
void *fake_make_context(fake_engine *engine, bool needs_scratch);

#endif
