/* Execution contexts: shapes, addresses, and the computing itself, which runs in the stream. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"
#include "fake_trt.h"

typedef struct context {
  fake_object base;
  fake_engine *engine;
  int32_t profile;
  bool needs_scratch;
  _Atomic int users; /* threads inside: TensorRT allows one */
  fake_dims shapes[FAKE_TENSORS];
  void *addresses[2 * FAKE_TENSORS];
  void *allocators[FAKE_TENSORS];
} context;

static fake_class context_class;

#define ALIGNMENT 512

/* One output to compute, with all that it needs: the context may have changed when it runs. */
typedef struct work {
  const float *from;
  float *to;
  size_t elements, per_row;
  size_t late; /* NonZero: copies per row */
  int32_t op_count, bytes_per_element;
  int32_t ops[FAKE_OPS];
} work;

static size_t element_bytes(int32_t type) {
  return type == 0 || type == 3 ? 4 : type == 1 || type == 7 ? 2 : type == 8 ? 8 : 1;
}

static size_t count_of(const fake_dims *shape) {
  size_t count = 1;
  for (int32_t d = 0; d < shape->count; d++) count *= (size_t)shape->at[d];
  return count;
}

static float apply(int32_t op, float x) {
  switch (op) {
    case FAKE_NEG: return -x;
    case FAKE_ABS: return x < 0 ? -x : x;
    case FAKE_RELU: return x < 0 ? 0 : x;
    default: return x;
  }
}

static void compute(void *argument) {
  work *w = argument;
  if (w->bytes_per_element != 4) {
    memcpy(w->to, w->from, w->elements * (size_t)w->bytes_per_element);
  } else if (w->op_count > 0 && w->ops[0] == FAKE_NONZERO) {
    for (size_t row = 0; row < w->elements / w->per_row; row++) {
      for (size_t i = 0; i < w->late; i++) w->to[row * w->late + i] = w->from[row * w->per_row];
    }
  } else {
    for (size_t i = 0; i < w->elements; i++) {
      float x = w->from[i];
      for (int32_t op = w->op_count - 1; op >= 0; op--) x = apply(w->ops[op], x);
      w->to[i] = x;
    }
  }
}

static int find(const context *c, const char *name) {
  const fake_graph *g = &c->engine->graph;
  for (int i = 0; i < g->inputs; i++) {
    if (strcmp(g->tensors[i].name, name) == 0) return i;
  }
  for (int i = 0; i < g->outputs; i++) {
    if (strcmp(g->tensors[FAKE_TENSORS + i].name, name) == 0) return FAKE_TENSORS + i;
  }
  return -1;
}

static void enter(context *c) {
  if (c->users++ != 0) fake_broken("two threads are in one execution context");
  fake_need_context("an execution context is used without a CUDA context");
}

static int32_t profile_of(const context *c) { return c->profile; }

static bool set_profile(context *c, int32_t profile, void *stream) {
  if (stream == NULL) fake_broken("a profile was set on the default stream");
  c->profile = profile;
  return profile == 0 && !fake_fails("setOptimizationProfileAsync");
}

static bool set_shape(context *c, const char *name, const fake_dims *shape) {
  int i = find(c, name);
  if (i < 0 || i >= FAKE_TENSORS || c->profile != 0 || fake_fails("setInputShape")) return false;
  const fake_tensor *tensor = &c->engine->graph.tensors[i];
  bool fits = shape->count == tensor->shape.count;
  for (int32_t d = 0; fits && d < shape->count; d++) {
    bool open = tensor->shape.at[d] < 0;
    int64_t low = open ? tensor->least.at[d] : tensor->shape.at[d];
    int64_t high = open ? tensor->largest.at[d] : tensor->shape.at[d];
    fits = shape->at[d] >= low && shape->at[d] <= high;
  }
  if (fits) c->shapes[i] = *shape;
  else fake_log(1, "[fake] Static dimension mismatch or outside of the profile");
  return fits;
}

static bool is_late(const fake_graph *g, int output) {
  return g->op_count[output] > 0 && g->ops[output][0] == FAKE_NONZERO;
}

/* What is open in an output's shape is as in its input's. */
static fake_dims shape_of(const context *c, const char *name) {
  int i = find(c, name);
  if (i < 0) return (fake_dims){.count = -1};
  if (i < FAKE_TENSORS) return c->shapes[i];
  const fake_graph *g = &c->engine->graph;
  fake_dims shape = g->tensors[i].shape;
  const fake_dims *from = &c->shapes[g->source[i - FAKE_TENSORS]];
  for (int32_t d = 0; d < shape.count; d++) {
    bool late = is_late(g, i - FAKE_TENSORS) && d == shape.count - 1;
    if (shape.at[d] < 0 && !late) shape.at[d] = d < from->count ? from->at[d] : -1;
  }
  return shape;
}

static bool set_address(context *c, const char *name, void *address) {
  int i = find(c, name);
  if (i < 0 || (uintptr_t)address % 256 != 0 || fake_fails("setTensorAddress")) return false;
  c->addresses[i] = address;
  return true;
}

static int32_t missing_shapes(const context *c, int32_t room, const char **missing) {
  int32_t count = 0;
  for (int i = 0; i < c->engine->graph.inputs; i++) {
    if (c->shapes[i].count >= 0) continue;
    if (count < room) missing[count] = c->engine->graph.tensors[i].name;
    count++;
  }
  return count;
}

static int32_t infer_shapes(context *c, int32_t room, const char **missing) {
  return fake_fails("inferShapes") ? -1 : missing_shapes(c, room, missing);
}

static bool set_output_allocator(context *c, const char *name, void *allocator) {
  int i = find(c, name);
  if (i < FAKE_TENSORS) return false;
  c->allocators[i - FAKE_TENSORS] = allocator;
  return true;
}

/* The output is placed by the application: IOutputAllocator has slots 5 and 6 for that in all families. */
static bool place_late(context *c, int output, work *w, void *stream) {
  typedef void *(*reallocate)(void *self, const char *name, void *now, uint64_t bytes, uint64_t align,
                              void *on);
  typedef void (*notify)(void *self, const char *name, const fake_dims *dims);
  void *allocator = c->allocators[output];
  const fake_tensor *tensor = &c->engine->graph.tensors[FAKE_TENSORS + output];
  if (allocator == NULL) fake_broken("an output of unknown size has no allocator");
  const fake_function *table = *(const fake_function **)allocator;
  fake_dims shape = tensor->shape;
  shape.at[0] = (int64_t)(w->elements / w->per_row);
  shape.at[shape.count - 1] = (int64_t)w->late;
  uint64_t bytes = count_of(&shape) * 4;
  /* As TensorRT 10.6 does it: each run asks, with the alignment of textures, and 0 bytes need no memory. */
  w->to = ((reallocate)table[5])(allocator, tensor->name, NULL, bytes, ALIGNMENT, stream);
  if (w->to == NULL && bytes > 0) fake_log(1, "[fake] IOutputAllocator returned nullptr");
  if ((uintptr_t)w->to % ALIGNMENT != 0) fake_broken("an output's memory is not aligned");
  if (w->to == NULL && bytes > 0) return false;
  ((notify)table[6])(allocator, tensor->name, &shape);
  return true;
}

/* Waits for the inputs, as a kernel whose output decides a size makes TensorRT do. */
int cuStreamSynchronize(void *stream);

static bool enqueue_output(context *c, int output, void *stream) {
  const fake_graph *g = &c->engine->graph;
  int source = g->source[output];
  const fake_dims *shape = &c->shapes[source];
  work *w = calloc(1, sizeof *w);
  w->from = c->addresses[source];
  w->to = c->addresses[FAKE_TENSORS + output];
  w->elements = count_of(shape);
  w->per_row = shape->at[0] > 0 ? w->elements / (size_t)shape->at[0] : 1;
  w->op_count = g->op_count[output];
  memcpy(w->ops, g->ops[output], sizeof w->ops);
  w->bytes_per_element = (int32_t)element_bytes(g->tensors[source].type);
  size_t bytes = w->elements * (size_t)w->bytes_per_element;
  bool placed = fake_cuda_is_device(w->from, bytes);
  if (placed && is_late(g, output)) {
    placed = cuStreamSynchronize(stream) == 0;
    w->late = placed ? (size_t)w->from[0] : 0;
    placed = placed && place_late(c, output, w, stream);
  } else if (placed) {
    placed = fake_cuda_is_device(w->to, bytes);
  }
  if (placed) return fake_cuda_queue(stream, compute, w) == 0;
  free(w);
  fake_log(1, "[fake] Neither address or allocator is set for a tensor");
  return false;
}

static void set_scratch(context *c, void *memory, int64_t bytes) {
  if (!c->needs_scratch || bytes < 1024 || (uintptr_t)memory % ALIGNMENT != 0 ||
      !fake_cuda_is_device(memory, (size_t)bytes))
    fake_broken("scratch memory was set wrongly");
  c->needs_scratch = false;
}

/* Only an engine that was built for it. */
static bool capturable(const context *c, void *stream) {
  return stream != NULL && c->engine->graph.capturable;
}

static bool enqueue(context *c, void *stream) {
  enter(c);
  if (c->needs_scratch) fake_broken("a context without scratch memory was enqueued");
  bool fine = stream != NULL && c->profile == 0 && !fake_fails("enqueueV3");
  const char *missing;
  if (fine && missing_shapes(c, 1, &missing) != 0) fake_broken("a batch was enqueued without its shapes");
  for (int output = 0; fine && output < c->engine->graph.outputs; output++)
    fine = enqueue_output(c, output, stream);
  c->users--;
  return fine;
}

static void end_context(fake_object *self) { ((context *)self)->engine->contexts--; }

void *fake_make_context(fake_engine *engine, bool needs_scratch) {
  context *c = fake_make(&context_class, sizeof *c, end_context);
  c->engine = engine;
  c->needs_scratch = needs_scratch;
  /* Only the first context of an engine has a profile by itself. */
  c->profile = engine->contexts++ == 0 ? 0 : -1;
  for (int i = 0; i < engine->graph.inputs; i++) {
    bool open = false;
    c->shapes[i] = engine->graph.tensors[i].shape;
    for (int32_t d = 0; d < c->shapes[i].count; d++) open = open || c->shapes[i].at[d] < 0;
    if (open) c->shapes[i].count = -1;
  }
  return fake_outer(c);
}

void fake_context_classes(void) {
  fake_class *c = &context_class;
  fake_class_begin(c, "N8nvinfer14apiv17VExecutionContextE");
  fake_class_slot(c, 11, (fake_function)profile_of);
  fake_class_slot(c, SLOT(17, 16, 16), (fake_function)set_profile);
  fake_class_slot(c, SLOT(21, 20, 20), (fake_function)set_shape);
  fake_class_slot(c, SLOT(22, 21, 21), (fake_function)shape_of);
  fake_class_slot(c, SLOT(24, 23, 23), (fake_function)set_address);
  fake_class_slot(c, SLOT(28, 27, 27), (fake_function)infer_shapes);
  fake_class_slot(c, SLOT(32, 31, 31), (fake_function)set_output_allocator);
  fake_class_slot(c, SLOT(37, 36, 36), (fake_function)enqueue);
  fake_class_slot(c, SLOT(49, 48, 48), (fake_function)set_scratch);
  fake_class_slot(c, SLOT(NONE, NONE, 52), (fake_function)capturable);
}
