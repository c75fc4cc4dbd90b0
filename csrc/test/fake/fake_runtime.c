/* Runtime and engine, and the library's exports. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_trt.h"

#define VERSION SLOT(101501, 110201, 10701)

static fake_class runtime_class, engine_class, inspector_class;

typedef struct runtime {
  fake_object base;
  bool host_code;
} runtime;

int32_t getInferLibVersion(void) {
  const char *text = getenv("FAKE_TRT_VERSION");
  return text != NULL ? atoi(text) : VERSION;
}

/* ---- Engine -------------------------------------------------------------------------------------------- */

static fake_tensor *find(fake_graph *g, const char *name) {
  for (int i = 0; i < 2 * FAKE_TENSORS; i++) {
    bool used = i < FAKE_TENSORS ? i < g->inputs : i - FAKE_TENSORS < g->outputs;
    if (used && strcmp(g->tensors[i].name, name) == 0) return &g->tensors[i];
  }
  return NULL;
}

static bool is_input(const fake_engine *e, const fake_tensor *tensor) {
  return tensor < e->graph.tensors + FAKE_TENSORS;
}

static void *create_context(fake_engine *e, int32_t strategy) {
  fake_need_context("an execution context needs a CUDA context");
  if (strategy != 0 && strategy != 2) fake_broken("an unknown allocation strategy");
  return fake_fails("createExecutionContext") ? NULL : fake_make_context(e, strategy == 2);
}

static int32_t profiles(const fake_engine *e) {
  (void)e;
  return 1;
}

static int64_t scratch_of(const fake_engine *e) {
  (void)e;
  return 1024;
}

static fake_dims none(void) { return (fake_dims){.count = -1}; }

static fake_dims shape_of(fake_engine *e, const char *name) {
  const fake_tensor *tensor = find(&e->graph, name);
  return tensor != NULL ? tensor->shape : none();
}

static int32_t type_of(fake_engine *e, const char *name) {
  const fake_tensor *tensor = find(&e->graph, name);
  return tensor != NULL ? tensor->type : 0;
}

/* Tensors whose names say so are in host memory, or not in row-major order. */
static int32_t location(fake_engine *e, const char *name) {
  (void)e;
  return strstr(name, "host") != NULL;
}

static int32_t format(fake_engine *e, const char *name) {
  (void)e;
  return strstr(name, "chw4") != NULL ? 2 : 0;
}

static int32_t mode(fake_engine *e, const char *name) {
  const fake_tensor *tensor = find(&e->graph, name);
  return tensor == NULL ? 0 : is_input(e, tensor) ? 1 : 2;
}

static fake_dims profile_shape(fake_engine *e, const char *name, int32_t profile, int32_t select) {
  const fake_tensor *tensor = find(&e->graph, name);
  if (tensor == NULL || profile != 0 || !is_input(e, tensor)) return none();
  return select == 0 ? tensor->least : select == 1 ? tensor->best : tensor->largest;
}

static int32_t tensor_count(const fake_engine *e) { return e->graph.inputs + e->graph.outputs; }

/* Outputs come first here: an order that nobody may rely on. */
static const char *tensor_name(const fake_engine *e, int32_t index) {
  const fake_graph *g = &e->graph;
  if (index < 0 || index >= tensor_count(e)) return NULL;
  return index < g->outputs ? g->tensors[FAKE_TENSORS + index].name : g->tensors[index - g->outputs].name;
}

static void *create_inspector(fake_engine *e) {
  (void)e;
  if (fake_fails("createEngineInspector")) return NULL;
  return fake_outer(fake_make(&inspector_class, sizeof(fake_object), NULL));
}

static const char *engine_information(const void *inspector, int32_t layout) {
  (void)inspector;
  if (layout != 1) fake_broken("an engine was inspected in another format than JSON");
  return "{\"Layers\": [\"first\", \"second\"], \"Bindings\": []}";
}

static void end_engine(fake_object *self) {
  if (((fake_engine *)self)->contexts != 0) fake_broken("an engine was deleted before its contexts");
}

static void engine_slots(void) {
  fake_class *c = &engine_class;
  fake_class_begin(c, "N8nvinfer14apiv11VCudaEngineE");
  fake_class_slot(c, 5, (fake_function)create_context);
  fake_class_slot(c, SLOT(10, 8, 8), (fake_function)profiles);
  fake_class_slot(c, SLOT(18, 14, 14), (fake_function)create_inspector);
  fake_class_slot(c, SLOT(19, 15, 15), (fake_function)shape_of);
  fake_class_slot(c, SLOT(20, 16, 16), (fake_function)type_of);
  fake_class_slot(c, SLOT(21, 17, 17), (fake_function)location);
  fake_class_slot(c, SLOT(23, 19, 19), (fake_function)mode);
  fake_class_slot(c, SLOT(26, 22, 22), (fake_function)format);
  fake_class_slot(c, SLOT(29, 25, 25), (fake_function)profile_shape);
  fake_class_slot(c, SLOT(30, 26, 26), (fake_function)tensor_count);
  fake_class_slot(c, SLOT(31, 27, 27), (fake_function)tensor_name);
  fake_class_slot(c, SLOT(52, 44, 44), (fake_function)scratch_of);
  fake_class_begin(&inspector_class, "N8nvinfer14apiv16VEngineInspectorE");
  fake_class_slot(&inspector_class, 6, (fake_function)engine_information);
}

/* ---- Runtime ------------------------------------------------------------------------------------------- */

static void *deserialize(runtime *r, const void *plan, size_t bytes) {
  fake_graph graph;
  if (r->host_code) fake_broken("host code is allowed");
  fake_need_context("deserializing needs a CUDA context");
  if (fake_fails("deserializeCudaEngine")) return NULL;
  if (bytes != sizeof graph || memcmp(plan, "fakeplan", 8) != 0) {
    fake_log(1, "[fake] Magic tag does not match");
    return NULL;
  }
  memcpy(&graph, plan, sizeof graph);
  if (graph.version != getInferLibVersion()) {
    fake_log(1, "[fake] Version tag does not match");
    return NULL;
  }
  fake_engine *e = fake_make(&engine_class, sizeof *e, end_engine);
  e->graph = graph;
  return fake_outer(e);
}

static void allow_host_code(runtime *r, bool allow) { r->host_code = allow; }
static bool allows_host_code(const runtime *r) { return r->host_code; }

void fake_runtime_classes(void) {
  fake_class *c = &runtime_class;
  engine_slots();
  fake_class_begin(c, "N8nvinfer14apiv8VRuntimeE");
  fake_class_slot(c, 3, (fake_function)deserialize);
  fake_class_slot(c, SLOT(21, 20, 20), (fake_function)allow_host_code);
  /* Ordered from outside: a library of a known number with other tables, which the product must notice. */
  if (getenv("FAKE_TRT_STRANGE") != NULL) fake_class_slot(c, SLOT(22, 21, 21), (fake_function)profiles);
  else fake_class_slot(c, SLOT(22, 21, 21), (fake_function)allows_host_code);
  if (getenv("FAKE_TRT_OTHER_CLASS") != NULL) c->table.type = engine_class.table.type;
}

__attribute__((constructor)) static void make_classes(void) {
  fake_runtime_classes();
  fake_context_classes();
  fake_builder_classes();
  char name[64] = "";
  int n = 0;
  const char *text = getenv("FAKE_TRT_FAIL");
  if (text != NULL && sscanf(text, "%63[^:]:%d", name, &n) == 2) fake_trt_fail(name, n);
}

void *createInferRuntime_INTERNAL(void *logger, int32_t version) {
  fake_take_logger(logger);
  fake_need_context("a runtime needs a CUDA context");
  if (version != getInferLibVersion()) fake_broken("the runtime was asked for in another version");
  /* What the real ones return when CUDA does not start: not NULL, but the offset of a base. */
  if (fake_fails("createInferRuntime")) return (void *)0x228;
  return fake_outer(fake_make(&runtime_class, sizeof(runtime), NULL));
}
