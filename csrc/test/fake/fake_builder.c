/* Builder, network, tensors, profile, configuration and plan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_trt.h"

static fake_class builder_class, network_class, tensor_class, profile_class, config_class, plan_class;
static fake_class timing_class;

typedef struct network_tensor {
  fake_object base;
  const fake_tensor *is;
} network_tensor;

typedef struct profile {
  fake_object base;
  fake_tensor inputs[FAKE_TENSORS];
  int count;
} profile;

typedef struct builder {
  fake_object base;
  profile *profiles[4]; /* the builder's own */
  int profile_count;
} builder;

typedef struct config {
  fake_object base;
  uint32_t flags;
  size_t workspace;
  int32_t level, capabilities, capability, compatible;
  const profile *profile;
  void *monitor;
  struct timing *timing;
} config;

/* What was measured: here, how many builds did. */
typedef struct timing {
  fake_object base;
  int32_t builds;
} timing;

typedef struct plan {
  fake_object base;
  fake_graph graph;
  size_t bytes;
} plan;

int32_t getInferLibVersion(void);

/* ---- Network ------------------------------------------------------------------------------------------- */

static int32_t inputs_of(const fake_network *n) { return n->graph.inputs; }
static int32_t outputs_of(const fake_network *n) { return n->graph.outputs; }

static void *input_of(fake_network *n, int32_t index) {
  if (index < 0 || index >= n->graph.inputs) return NULL;
  if (n->tensors[index] == NULL) {
    network_tensor *made = fake_make(&tensor_class, sizeof *made, NULL);
    made->is = &n->graph.tensors[index];
    n->tensors[index] = fake_outer(made);
  }
  return n->tensors[index];
}

/* Deletes an object that its owner owns. */
static void drop(void *outer) {
  typedef void (*destructor)(void *outer);
  if (outer != NULL) ((destructor)(*(const fake_function **)outer)[1])(outer);
}

static void end_network(fake_object *self) {
  for (int i = 0; i < FAKE_TENSORS; i++) drop(((fake_network *)self)->tensors[i]);
}

static const char *name_of(const network_tensor *t) { return t->is->name; }
static fake_dims shape_of(const network_tensor *t) { return t->is->shape; }
/* Inputs whose names say so decide shapes. */
static bool is_shape(const network_tensor *t) { return strstr(t->is->name, "shape") != NULL; }

/* ---- Profile ------------------------------------------------------------------------------------------- */

static bool set_shape(profile *p, const char *name, int32_t select, const fake_dims *shape) {
  int i = 0;
  while (i < p->count && strcmp(p->inputs[i].name, name) != 0) i++;
  if (i == FAKE_TENSORS || fake_fails("setDimensions")) return false;
  if (i == p->count) {
    p->count++;
    snprintf(p->inputs[i].name, sizeof p->inputs[i].name, "%s", name);
    p->inputs[i].least.count = p->inputs[i].best.count = p->inputs[i].largest.count = -1;
  }
  *(select == 0 ? &p->inputs[i].least : select == 1 ? &p->inputs[i].best : &p->inputs[i].largest) = *shape;
  return true;
}

static bool is_valid(const profile *p) {
  for (int i = 0; i < p->count; i++) {
    const fake_tensor *t = &p->inputs[i];
    if (t->least.count < 0 || t->best.count < 0 || t->largest.count < 0) return false;
    for (int32_t d = 0; d < t->least.count; d++) {
      if (t->least.at[d] > t->best.at[d] || t->best.at[d] > t->largest.at[d]) return false;
    }
  }
  return true;
}

/* ---- Configuration ------------------------------------------------------------------------------------- */

static void clear_flag(config *c, int32_t flag) { c->flags &= ~((uint32_t)1 << flag); }
static void set_flag(config *c, int32_t flag) { c->flags |= (uint32_t)1 << flag; }
static void set_limit(config *c, int32_t pool, size_t bytes) {
  if (pool != 0) fake_broken("a limit of another pool was set");
  c->workspace = bytes;
}
static size_t limit_of(const config *c, int32_t pool) { return pool == 0 ? c->workspace : 0; }
static void set_level(config *c, int32_t level) { c->level = level; }

static int32_t add_profile(config *c, const void *outer) {
  if (fake_fails("addOptimizationProfile")) return -1;
  c->profile = fake_inner((void *)(uintptr_t)outer);
  return 0;
}

static bool set_capabilities(config *c, int32_t count) {
  c->capabilities = count;
  return count == 1;
}
static bool set_capability(config *c, int32_t capability, int32_t index) {
  c->capability = capability;
  return index == 0 && capability == 1;
}
static void set_monitor(config *c, void *monitor) { c->monitor = monitor; }
static void set_compatibility(config *c, int32_t level) { c->compatible = level; }
/* What comes from elsewhere is refused. */
static void *create_timing(config *c, const void *data, size_t bytes) {
  (void)c;
  if (fake_fails("createTimingCache")) return NULL;
  timing *t = fake_make(&timing_class, sizeof *t, NULL);
  if (bytes == 12 && memcmp(data, "measured", 8) == 0) memcpy(&t->builds, (const char *)data + 8, 4);
  else t->builds = bytes == 0 ? 0 : -1;
  return fake_outer(t);
}

static bool set_timing(config *c, const void *outer, bool ignore_mismatch) {
  timing *t = fake_inner((void *)(uintptr_t)outer);
  if (ignore_mismatch) fake_broken("what was measured elsewhere was to be used");
  bool taken = t->builds >= 0 && !fake_fails("setTimingCache");
  if (t->builds < 0) fake_log(1, "[fake] the timing cache is of another device");
  if (taken) c->timing = t;
  return taken;
}

static void *serialize_timing(const timing *t) {
  if (fake_fails("serialize")) return NULL;
  plan *p = fake_make(&plan_class, sizeof *p, NULL);
  memcpy(&p->graph, "measured", 8);
  memcpy((char *)&p->graph + 8, &t->builds, 4);
  p->bytes = 12;
  return fake_outer(p);
}

/* ---- Plan and builder ---------------------------------------------------------------------------------- */

static void *data_of(plan *p) { return &p->graph; }
static size_t bytes_of(const plan *p) { return p->bytes; }
static void *create_config(builder *b) {
  (void)b;
  config *c = fake_make(&config_class, sizeof *c, NULL);
  c->workspace = (size_t)64 << 30;
  c->flags = 1u << 6;
  return fake_outer(c);
}

static void *create_network(builder *b, uint32_t flags) {
  (void)b;
  if (FAKE_FAMILY != 10 && flags != 0) fake_broken("a network was made with the flags of another version");
  fake_network *n = fake_make(&network_class, sizeof *n, end_network);
  n->graph.strong = FAKE_FAMILY != 10 || flags == 2;
  return fake_outer(n);
}

static void *create_profile(builder *b) {
  if (b->profile_count == 4) return NULL;
  profile *p = fake_make(&profile_class, sizeof *p, NULL);
  b->profiles[b->profile_count++] = p;
  return fake_outer(p);
}

/* Phases in a phase, told as TensorRT does; FAKE_TRT_STEP_MS is how long an inner step takes. */
static bool tell_progress(void *monitor) {
  typedef void (*start)(void *self, const char *phase, const char *parent, int32_t steps);
  typedef bool (*step)(void *self, const char *phase, int32_t step);
  typedef void (*finish)(void *self, const char *phase);
  const char *ms = getenv("FAKE_TRT_STEP_MS");
  struct timespec pause = {0, ms != NULL ? atoi(ms) * 1000000L : 0};
  const fake_function *table = *(const fake_function **)monitor;
  bool goes_on = true;
  ((start)table[4])(monitor, "Building an engine", NULL, 2);
  for (int32_t outer = 0; goes_on && outer < 2; outer++) {
    const char *inner = outer == 0 ? "Choosing kernels" : "Writing the plan";
    ((start)table[4])(monitor, inner, "Building an engine", 5);
    for (int32_t i = 0; goes_on && i < 5; i++) {
      nanosleep(&pause, NULL);
      goes_on = ((step)table[5])(monitor, inner, i);
    }
    ((finish)table[6])(monitor, inner);
    goes_on = goes_on && ((step)table[5])(monitor, "Building an engine", outer);
  }
  ((finish)table[6])(monitor, "Building an engine");
  return goes_on;
}

static void *build(builder *b, void *network_outer, void *config_outer) {
  (void)b;
  const fake_network *n = fake_inner(network_outer);
  const config *c = fake_inner(config_outer);
  if (fake_fails("buildSerializedNetwork")) return NULL;
  if (c->monitor != NULL && !tell_progress(c->monitor)) return NULL;
  if (c->timing != NULL) c->timing->builds++;
  if (n->graph.strong && (c->flags & 1) != 0) fake_broken("FP16 was allowed in a strongly typed network");
  plan *p = fake_make(&plan_class, sizeof *p, NULL);
  p->graph = n->graph;
  p->bytes = sizeof p->graph;
  p->graph.compatible = c->compatible;
  memcpy(p->graph.magic, "fakeplan", 8);
  p->graph.version = getInferLibVersion();
  p->graph.precise = (c->flags >> 6 & 1) == 0;
  p->graph.half = (int32_t)(c->flags & 1);
  p->graph.capturable = FAKE_FAMILY != 1 || (c->flags >> 28 & 1) != 0;
  p->graph.workspace = c->workspace;
  for (int i = 0; c->profile != NULL && i < n->graph.inputs; i++) {
    for (int k = 0; k < c->profile->count; k++) {
      const fake_tensor *from = &c->profile->inputs[k];
      if (strcmp(from->name, p->graph.tensors[i].name) != 0) continue;
      p->graph.tensors[i].least = from->least;
      p->graph.tensors[i].best = from->best;
      p->graph.tensors[i].largest = from->largest;
    }
  }
  return fake_outer(p);
}

static void end_builder(fake_object *self) {
  for (int i = 0; i < 4; i++) {
    profile *p = ((builder *)self)->profiles[i];
    if (p != NULL) drop(fake_outer(p));
  }
}

void *createInferBuilder_INTERNAL(void *logger, int32_t version) {
  fake_take_logger(logger);
  if (FAKE_FAMILY != 1) fake_need_context("a builder of this family needs a CUDA context");
  if (version != getInferLibVersion()) fake_broken("the builder was asked for in another version");
  if (fake_fails("createInferBuilder")) return NULL;
  return fake_outer(fake_make(&builder_class, sizeof(builder), end_builder));
}

static void config_slots(fake_class *c) {
  fake_class_begin(c, "N8nvinfer14apiv14VBuilderConfigE");
  fake_class_slot(c, SLOT(10, 8, 8), (fake_function)clear_flag);
  fake_class_slot(c, SLOT(11, 9, 9), (fake_function)set_flag);
  fake_class_slot(c, SLOT(25, 23, 23), (fake_function)add_profile);
  fake_class_slot(c, SLOT(43, 32, 32), (fake_function)set_limit);
  fake_class_slot(c, SLOT(44, 33, 33), (fake_function)limit_of);
  fake_class_slot(c, SLOT(47, 36, 36), (fake_function)set_level);
  fake_class_slot(c, SLOT(40, 29, 29), (fake_function)create_timing);
  fake_class_slot(c, SLOT(41, 30, 30), (fake_function)set_timing);
  fake_class_slot(c, SLOT(49, 38, 38), (fake_function)set_compatibility);
  fake_class_slot(c, SLOT(56, 45, 45), (fake_function)set_monitor);
  fake_class_slot(c, SLOT(NONE, NONE, 55), (fake_function)set_capabilities);
  fake_class_slot(c, SLOT(NONE, NONE, 57), (fake_function)set_capability);
}

void fake_builder_classes(void) {
  config_slots(&config_class);
  fake_class_begin(&builder_class, "N8nvinfer14apiv8VBuilderE");
  fake_class_slot(&builder_class, SLOT(7, 5, 5), (fake_function)create_config);
  fake_class_slot(&builder_class, SLOT(8, 6, 6), (fake_function)create_network);
  fake_class_slot(&builder_class, SLOT(9, 7, 7), (fake_function)create_profile);
  fake_class_slot(&builder_class, SLOT(14, 11, 11), (fake_function)build);
  fake_class_begin(&network_class, "N8nvinfer14apiv18VNetworkDefinitionE");
  fake_class_slot(&network_class, 14, (fake_function)inputs_of);
  fake_class_slot(&network_class, 15, (fake_function)input_of);
  fake_class_slot(&network_class, 16, (fake_function)outputs_of);
  fake_class_begin(&tensor_class, "N8nvinfer14apiv7VTensorE");
  fake_class_slot(&tensor_class, 3, (fake_function)name_of);
  fake_class_slot(&tensor_class, 5, (fake_function)shape_of);
  fake_class_slot(&tensor_class, SLOT(21, 15, 11), (fake_function)is_shape);
  fake_class_begin(&profile_class, "N8nvinfer14apiv20VOptimizationProfileE");
  fake_class_slot(&profile_class, 2, (fake_function)set_shape);
  fake_class_slot(&profile_class, SLOT(9, 7, 7), (fake_function)is_valid);
  fake_class_begin(&timing_class, "N8nvinfer14apiv12VTimingCacheE");
  fake_class_slot(&timing_class, 2, (fake_function)serialize_timing);
  fake_class_begin(&plan_class, "N8nvinfer14apiv11VHostMemoryE");
  /* VHostMemory has no getPImpl: its own functions start right behind the destructors. */
  fake_class_slot(&plan_class, 2, (fake_function)data_of);
  fake_class_slot(&plan_class, 3, (fake_function)bytes_of);
}
