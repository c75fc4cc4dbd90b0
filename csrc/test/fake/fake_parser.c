/* The ONNX parser's library. Its objects have no outer part. */
#include <stdlib.h>
#include <string.h>

#include "fake_trt.h"

typedef struct parser {
  fake_object base;
  fake_network *network;
  fake_object error; /* the parser's own; `problem` is what it tells */
  fake_problem problem;
  bool used, failed;
} parser;

static fake_class parser_class, error_class;

static const fake_problem *problem_of(const void *error) {
  const char *at = error;
  return &((const parser *)(const void *)(at - offsetof(parser, error)))->problem;
}

static bool parse(parser *p, const void *model, size_t bytes, const char *path) {
  if (p->used) fake_broken("a parser was used twice");
  if (path != NULL) fake_broken("the parser was given a path, by which it could open other files");
  p->used = true;
  p->failed = !fake_read_onnx(model, bytes, &p->network->graph, &p->problem);
  return !p->failed;
}

static int32_t errors(const parser *p) { return p->failed; }
static void *error_at(parser *p, int32_t index) { return index == 0 && p->failed ? &p->error : NULL; }

static void delete_parser(parser *p) {
  typedef void (*destructor)(void *outer);
  void *outer = fake_outer(p);
  ((destructor)p->base.outer.table[1])(outer);
}

static int32_t code(const void *e) {
  (void)e;
  return 3;
}
static const char *description(const void *e) { return problem_of(e)->text; }
static int32_t node(const void *e) { return problem_of(e)->node; }
static const char *node_name(const void *e) { return problem_of(e)->name; }
static const char *node_operator(const void *e) { return problem_of(e)->op; }

__attribute__((constructor)) static void make_classes(void) {
  fake_class_begin(&parser_class, "N12nvonnxparser7IParserE");
  /* The parser's destructors stand in the middle of its table, and no other slots are free of functions. */
  for (int i = 0; i < 2; i++) parser_class.table.slots[i] = parser_class.table.slots[SLOTS - 1];
  fake_class_slot(&parser_class, 0, (fake_function)parse);
  fake_class_slot(&parser_class, SLOT(5, 3, 3), (fake_function)errors);
  fake_class_slot(&parser_class, SLOT(6, 4, 4), (fake_function)error_at);
  fake_class_slot(&parser_class, SLOT(9, 7, 7), (fake_function)delete_parser);
  fake_direct_begin(&error_class, "N12nvonnxparser12IParserErrorE");
  fake_class_slot(&error_class, 0, (fake_function)code);
  fake_class_slot(&error_class, 1, (fake_function)description);
  fake_class_slot(&error_class, 5, (fake_function)node);
  fake_class_slot(&error_class, 6, (fake_function)node_name);
  fake_class_slot(&error_class, 7, (fake_function)node_operator);
}

int32_t getNvOnnxParserVersion(void) { return SLOT(100, 200, 200); }

void *createNvOnnxParser_INTERNAL(void *network, void *logger, int32_t version) {
  (void)logger;
  if (version != getNvOnnxParserVersion()) fake_broken("the parser was asked for in another version");
  if (fake_fails("createNvOnnxParser")) return NULL;
  parser *p = fake_make(&parser_class, sizeof *p, NULL);
  p->error.table = error_class.table.slots;
  p->network = fake_inner(network);
  return p;
}
