/* Objects, tables and type information as a C++ compiler lays them out; the logger; ordered failures. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"
#include "fake_trt.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char failing[64];
static int calls_left;
static int live;
static void *process_logger;

void fake_broken(const char *rule) {
  fprintf(stderr, "fake TensorRT: %s\n", rule);
  abort();
}

static void unexpected(void) { fake_broken("a slot was called that no test needs"); }

/* ---- Type information ---------------------------------------------------------------------------------- */

typedef struct type_info {
  const void *const *table;
  const char *name;
} type_info;
typedef struct single {
  type_info info;
  const type_info *base;
} single;
typedef struct several {
  type_info info;
  uint32_t flags, count;
  struct {
    const type_info *base;
    long flags;
  } bases[2];
} several;

/* The classes of type information: only their names are looked at. */
static const type_info kind_class = {NULL, "N10__cxxabiv117__class_type_infoE"};
static const type_info kind_single = {NULL, "N10__cxxabiv120__si_class_type_infoE"};
static const type_info kind_several = {NULL, "N10__cxxabiv121__vmi_class_type_infoE"};
static const void *const table_class[2] = {&kind_class, NULL};
static const void *const table_single[2] = {&kind_single, NULL};
static const void *const table_several[2] = {&kind_several, NULL};

/* class Wrapper: public Real (: public Interface (: public Root)), public Outer */
static const void *make_type(const char *name) {
  static const type_info root = {table_class + 1, "N8nvinfer15VRootE"};
  static const type_info outer = {table_class + 1, "N8nvinfer17INoCopyE"};
  static single bases[32], reals[32];
  static several wrappers[32];
  static int used;
  int i = used++;
  bases[i] = (single){{table_single + 1, name}, &root};
  reals[i] = (single){{table_single + 1, "*N8nvinfer14RealE"}, &bases[i].info};
  wrappers[i] =
      (several){{table_several + 1, "N8nvinfer17WrapperE"}, 0, 2, {{&outer, 0x2802}, {&reals[i].info, 2}}};
  return &wrappers[i];
}

/* ---- Objects ------------------------------------------------------------------------------------------- */

static void never(void *self) {
  (void)self;
  fake_broken("the wrong destructor was called");
}

void *fake_inner(void *outer) { return (char *)outer - offsetof(fake_object, outer); }

/* D0 of the outer table: the end of the whole object. */
static void delete_object(void *outer) {
  fake_object *object = fake_inner(outer);
  if (object->outer.implementation != object) fake_broken("an object was deleted twice");
  if (object->end != NULL) object->end(object);
  object->outer.implementation = NULL;
  pthread_mutex_lock(&lock);
  live--;
  pthread_mutex_unlock(&lock);
  free(object);
}

void *fake_direct_begin(fake_class *class, const char *name) {
  class->name = name;
  class->table.type = make_type(name);
  for (int i = 0; i < SLOTS; i++) class->table.slots[i] = class->outer.slots[i] = unexpected;
  return class;
}

void fake_class_begin(fake_class *class, const char *name) {
  fake_direct_begin(class, name);
  class->outer.offset_to_top = -(intptr_t)offsetof(fake_object, outer);
  class->outer.type = class->table.type;
  class->table.slots[0] = class->table.slots[1] = class->outer.slots[0] = (fake_function)never;
  class->outer.slots[1] = (fake_function)delete_object;
}

void fake_class_slot(fake_class *class, int slot, fake_function function) {
  if (slot == NONE) return;
  if (slot >= SLOTS || class->table.slots[slot] != unexpected) fake_broken("two methods have the same slot");
  class->table.slots[slot] = function;
}

void *fake_make(const fake_class *class, size_t bytes, void (*end)(fake_object *self)) {
  fake_object *object = calloc(1, bytes);
  object->table = class->table.slots;
  object->outer.table = class->outer.slots;
  object->outer.implementation = object;
  object->end = end;
  pthread_mutex_lock(&lock);
  live++;
  pthread_mutex_unlock(&lock);
  return object;
}

void *fake_outer(void *object) { return &((fake_object *)object)->outer; }

/* ---- Failures and the logger --------------------------------------------------------------------------- */

int fake_trt_live(void) {
  pthread_mutex_lock(&lock);
  int count = live;
  pthread_mutex_unlock(&lock);
  return count;
}

void fake_trt_fail(const char *name, int n) {
  pthread_mutex_lock(&lock);
  snprintf(failing, sizeof failing, "%s", name != NULL ? name : "");
  calls_left = n;
  pthread_mutex_unlock(&lock);
}

bool fake_fails(const char *name) {
  pthread_mutex_lock(&lock);
  bool fails = calls_left > 0 && strcmp(failing, name) == 0 && --calls_left == 0;
  pthread_mutex_unlock(&lock);
  char text[128];
  snprintf(text, sizeof text, "[fake] %s was ordered to fail.\n", name);
  if (fails) fake_log(1, text);
  return fails;
}

void fake_take_logger(void *logger) {
  pthread_mutex_lock(&lock);
  if (process_logger == NULL) process_logger = logger;
  bool same = process_logger == logger;
  pthread_mutex_unlock(&lock);
  if (!same) fake_broken("a second logger was registered");
}

void fake_log(int32_t severity, const char *text) {
  typedef void (*log_function)(void *self, int32_t severity, const char *text);
  const fake_function *table = *(const fake_function **)process_logger;
  ((log_function)table[SLOT(0, 4, 4)])(process_logger, severity, text);
}

void fake_need_context(const char *what) {
  if (!fake_cuda_has_context()) fake_broken(what);
}
