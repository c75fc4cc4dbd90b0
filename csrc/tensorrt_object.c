#include "tensorrt_object.h"

#include <stdio.h>
#include <string.h>

#include "status.h"
#include "tensorrt_logger.h"

/* No object lies in the first pages of a process. */
#define LOWEST_ADDRESS 65536u
#define DEPTH_MAX 8
#define BASES_MAX 64u

/* std::type_info; what follows it depends on what kind of class it is. */
typedef struct type_info {
  const void *const *table;
  const char *name; /* with a '*' in front of names that are not unique */
} type_info;

/* __si_class_type_info: one base at offset 0. */
typedef struct single_base {
  type_info info;
  const type_info *base;
} single_base;

/* __vmi_class_type_info: several bases. */
typedef struct several_bases {
  type_info info;
  uint32_t flags, count;
  struct {
    const type_info *base;
    long flags;
  } bases[];
} several_bases;

/* What kind of type information this is: the name of its own class. */
static const char *kind_of(const type_info *info) {
  const type_info *kind = info->table[-1];
  return kind != NULL ? kind->name : "";
}

/* Whether a class is, or is derived from, the class of that name. */
static bool is_a(const type_info *info, const char *name, int depth) {
  if (info == NULL || depth > DEPTH_MAX) return false;
  if (strcmp(info->name + (info->name[0] == '*'), name) == 0) return true;
  const char *kind = kind_of(info);
  if (strstr(kind, "__si_class_type_info") != NULL)
    return is_a(((const single_base *)(const void *)info)->base, name, depth + 1);
  if (strstr(kind, "__vmi_class_type_info") == NULL) return false;
  const several_bases *several = (const several_bases *)(const void *)info;
  for (uint32_t i = 0; i < several->count && i < BASES_MAX; i++) {
    if (is_a(several->bases[i].base, name, depth + 1)) return true;
  }
  return false;
}

void *tp_trt_object(void *returned, tp_trt_class class, int32_t status, const char *doing) {
#define NAME(id, name) name,
  static const char *const names[] = {TP_TRT_CLASSES(NAME)};
#undef NAME
  if ((uintptr_t)returned < LOWEST_ADDRESS) {
    tp_trt_fail(status, doing);
    return NULL;
  }
  bool direct = class == TP_TRT_CLASS_PARSER || class == TP_TRT_CLASS_PARSER_ERROR;
  void *self = direct ? returned : tp_trt_impl(returned);
  const void *const *table = *(const void *const *const *)self;
  /* The word before a table's functions. A library that was built without it cannot be checked. */
  const type_info *info = table[-1];
  if (info == NULL || is_a(info, names[class], 0)) return returned;
  tp_fail(TP_ERR_UNSUPPORTED, "%s: expected an object of the class %s, got one of %.200s", doing,
          names[class], info->name);
  return NULL;
}

void tp_trt_delete(void *outer) {
  if (outer == NULL) return;
  typedef void (*destructor)(void *self);
  ((destructor)(*(const tp_function *const *)outer)[1])(outer);
}

void tp_trt_table_finish(tp_trt_table *table) {
  static type_info own = {NULL, "N7trtpipe6ObjectE"};
  if (own.table == NULL) {
    tp_text tried = {0};
    void *library = tp_library_open("libstdc++.so.6", &tried);
    void *class_table =
        library != NULL ? tp_library_data(library, "_ZTVN10__cxxabiv117__class_type_infoE") : NULL;
    if (class_table == NULL) return;
    own.table = (const void *const *)class_table + 2;
  }
  table->type = &own;
}

int32_t tp_trt_language(const void *self) {
  (void)self;
  return 0; /* C++ */
}

void tp_trt_no_destructor(void *self) { (void)self; }
