/* Reads as much of ONNX as the tests' models have. */
#include <stdio.h>
#include <string.h>

#include "fake_trt.h"

#define NODES 64

typedef struct span {
  const uint8_t *at, *end;
} span;

typedef struct node {
  char input[64], output[64], name[64], op[64];
} node;

typedef struct reader {
  fake_graph *graph;
  node nodes[NODES];
  int node_count;
} reader;

static bool read_number(span *from, uint64_t *number) {
  *number = 0;
  for (int shift = 0; from->at < from->end && shift < 64; shift += 7) {
    uint8_t byte = *from->at++;
    *number |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

/* The next field: its number, and its value (wire type 0) or its bytes (2); others are passed over. */
static bool next_field(span *from, int *field, uint64_t *value, span *bytes) {
  uint64_t tag;
  *bytes = (span){0};
  if (!read_number(from, &tag)) return false;
  *field = (int)(tag >> 3);
  if ((tag & 7) == 0) return read_number(from, value);
  size_t count = (tag & 7) == 1 ? 8 : 4;
  if ((tag & 7) == 2) {
    if (!read_number(from, value)) return false;
    count = (size_t)*value;
  }
  if (count > (size_t)(from->end - from->at)) return false;
  *bytes = (span){from->at, from->at + count};
  from->at += count;
  return true;
}

static void copy_text(char to[64], span from) {
  size_t count = (size_t)(from.end - from.at) < 63 ? (size_t)(from.end - from.at) : 63;
  memcpy(to, from.at, count);
  to[count] = '\0';
}

static int32_t type_of(uint64_t onnx) {
  switch (onnx) {
    case 1: return 0;
    case 10: return 1;
    case 3: return 2;
    case 6: return 3;
    case 9: return 4;
    case 2: return 5;
    case 16: return 7;
    case 7: return 8;
    default: return 6; /* FP8: no product takes it */
  }
}

static bool read_shape(span from, fake_dims *shape) {
  int field;
  uint64_t value;
  span bytes, inner;
  while (from.at < from.end) {
    if (!next_field(&from, &field, &value, &bytes) || shape->count == 8) return false;
    if (field != 1) continue;
    int64_t dim = -1;
    for (inner = bytes; inner.at < inner.end;) {
      if (!next_field(&inner, &field, &value, &bytes)) return false;
      if (field == 1) dim = (int64_t)value;
    }
    shape->at[shape->count++] = dim;
  }
  return true;
}

static bool read_value_info(span from, fake_tensor *tensor) {
  int field;
  uint64_t value;
  span bytes, type, tensor_type;
  tensor->least.count = tensor->best.count = tensor->largest.count = -1;
  while (from.at < from.end) {
    if (!next_field(&from, &field, &value, &bytes)) return false;
    if (field == 1) copy_text(tensor->name, bytes);
    for (type = bytes; field == 2 && type.at < type.end;) {
      int inner;
      if (!next_field(&type, &inner, &value, &tensor_type)) return false;
      while (tensor_type.at < tensor_type.end) {
        if (!next_field(&tensor_type, &inner, &value, &bytes)) return false;
        if (inner == 1) tensor->type = type_of(value);
        if (inner == 2 && !read_shape(bytes, &tensor->shape)) return false;
      }
    }
  }
  return true;
}

static bool read_node(span from, node *to) {
  int field;
  uint64_t value;
  span bytes;
  while (from.at < from.end) {
    if (!next_field(&from, &field, &value, &bytes)) return false;
    if (field == 1 && to->input[0] == '\0') copy_text(to->input, bytes);
    if (field == 2) copy_text(to->output, bytes);
    if (field == 3) copy_text(to->name, bytes);
    if (field == 4) copy_text(to->op, bytes);
  }
  return true;
}

static bool read_graph(span from, reader *r) {
  int field;
  uint64_t value;
  span bytes;
  fake_graph *g = r->graph;
  while (from.at < from.end) {
    if (!next_field(&from, &field, &value, &bytes)) return false;
    bool read = true;
    if (field == 1) read = r->node_count < NODES && read_node(bytes, &r->nodes[r->node_count++]);
    if (field == 11) read = g->inputs < FAKE_TENSORS && read_value_info(bytes, &g->tensors[g->inputs++]);
    if (field == 12)
      read = g->outputs < FAKE_TENSORS && read_value_info(bytes, &g->tensors[FAKE_TENSORS + g->outputs++]);
    if (!read) return false;
  }
  return true;
}

static int op_of(const char *name) {
  static const char *const names[] = {"Identity", "Neg", "Abs", "Relu", "NonZero"};
  for (int i = 0; i < 5; i++) {
    if (strcmp(names[i], name) == 0) return i;
  }
  return -1;
}

static bool refuse(fake_problem *problem, const reader *r, int index, const char *text) {
  snprintf(problem->text, sizeof problem->text, "%s", text);
  problem->node = index;
  if (index < 0) return false;
  memcpy(problem->name, r->nodes[index].name, sizeof problem->name);
  memcpy(problem->op, r->nodes[index].op, sizeof problem->op);
  return false;
}

/* Follows an output back to its input. */
static bool trace(const reader *r, int output, fake_problem *problem) {
  fake_graph *g = r->graph;
  char wanted[64];
  memcpy(wanted, g->tensors[FAKE_TENSORS + output].name, sizeof wanted);
  for (;;) {
    for (int i = 0; i < g->inputs; i++) {
      g->source[output] = i;
      if (strcmp(g->tensors[i].name, wanted) == 0) return true;
    }
    int found = r->node_count - 1;
    while (found >= 0 && strcmp(r->nodes[found].output, wanted) != 0) found--;
    if (found < 0 || g->op_count[output] == FAKE_OPS)
      return refuse(problem, r, -1, "an output comes from nowhere");
    int op = op_of(r->nodes[found].op);
    if (op < 0) return refuse(problem, r, found, "No importer registered for op");
    g->ops[output][g->op_count[output]++] = op;
    memcpy(wanted, r->nodes[found].input, sizeof wanted);
  }
}

bool fake_read_onnx(const uint8_t *bytes, size_t count, fake_graph *graph, fake_problem *problem) {
  reader r = {.graph = graph};
  span from = {bytes, bytes + count}, inner;
  int field;
  uint64_t value;
  memset(problem, 0, sizeof *problem);
  while (from.at < from.end) {
    bool read = next_field(&from, &field, &value, &inner);
    if (read && field == 7) read = read_graph(inner, &r);
    if (!read) return refuse(problem, &r, -1, "Failed to parse the ONNX model.");
  }
  if (graph->inputs == 0) return refuse(problem, &r, -1, "Failed to parse the ONNX model.");
  for (int output = 0; output < graph->outputs; output++) {
    if (!trace(&r, output, problem)) return false;
  }
  return true;
}
