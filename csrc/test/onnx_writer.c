#include "onnx_writer.h"

#include <stdlib.h>
#include <string.h>

static void put(byte_buffer *to, const void *from, size_t length) {
  if (to->length + length > to->cap) {
    to->cap = (to->length + length) * 2 + 64;
    to->data = realloc(to->data, to->cap);
    if (to->data == NULL) abort();
  }
  if (length > 0) memcpy(to->data + to->length, from, length);
  to->length += length;
}

static void put_varint(byte_buffer *to, uint64_t value) {
  do {
    uint8_t byte = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
    put(to, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

static void put_number(byte_buffer *to, uint32_t field, int64_t value) {
  put_varint(to, field << 3);
  put_varint(to, (uint64_t)value);
}

static void put_data(byte_buffer *to, uint32_t field, const void *data, size_t length) {
  put_varint(to, field << 3 | 2);
  put_varint(to, length);
  put(to, data, length);
}

static void put_text(byte_buffer *to, uint32_t field, const char *text) {
  put_data(to, field, text, strlen(text));
}

/* Ends a message: it becomes a field of another. */
static void put_message(byte_buffer *to, uint32_t field, byte_buffer *message) {
  put_data(to, field, message->data, message->length);
  free(message->data);
  *message = (byte_buffer){0};
}

static byte_buffer tensor_type(int dtype, int rank, const int64_t *dims) {
  byte_buffer tensor = {0}, shape = {0};
  put_number(&tensor, 1, dtype);
  for (int d = 0; d < rank; d++) {
    byte_buffer dim = {0};
    if (dims[d] >= 0) put_number(&dim, 1, dims[d]);
    put_message(&shape, 1, &dim);
  }
  if (rank != NO_SHAPE) put_message(&tensor, 2, &shape);
  return tensor;
}

static void value_info(onnx_writer *w, uint32_t field, const char *name, uint32_t kind,
                       byte_buffer *type_value) {
  byte_buffer info = {0}, type = {0};
  put_text(&info, 1, name);
  put_message(&type, kind, type_value);
  put_message(&info, 2, &type);
  put_message(&w->graph, field, &info);
}

void onnx_input(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims) {
  byte_buffer tensor = tensor_type(dtype, rank, dims);
  value_info(w, 11, name, 1, &tensor);
}

void onnx_output(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims) {
  byte_buffer tensor = tensor_type(dtype, rank, dims);
  value_info(w, 12, name, 1, &tensor);
}

void onnx_sequence(onnx_writer *w, int output, const char *name, int dtype) {
  byte_buffer tensor = tensor_type(dtype, NO_SHAPE, NULL), element = {0}, sequence = {0};
  put_message(&element, 1, &tensor);
  put_message(&sequence, 1, &element);
  value_info(w, output ? 12 : 11, name, 4, &sequence);
}

void onnx_initializer(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims,
                      const void *data, size_t data_bytes) {
  byte_buffer tensor = {0};
  for (int d = 0; d < rank; d++) put_number(&tensor, 1, dims[d]);
  put_number(&tensor, 2, dtype);
  put_text(&tensor, 8, name);
  put_data(&tensor, 9, data, data_bytes);
  put_message(&w->graph, 5, &tensor);
}

void onnx_external(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims,
                   const char *file) {
  byte_buffer tensor = {0}, location = {0};
  for (int d = 0; d < rank; d++) put_number(&tensor, 1, dims[d]);
  put_number(&tensor, 2, dtype);
  put_text(&tensor, 8, name);
  put_text(&location, 1, "location");
  put_text(&location, 2, file);
  put_message(&tensor, 13, &location);
  put_number(&tensor, 14, 1);
  put_message(&w->graph, 5, &tensor);
}

static void put_names(byte_buffer *to, uint32_t field, const char *names) {
  while (*names != '\0') {
    size_t length = strcspn(names, " ");
    put_data(to, field, names, length);
    names += length + (names[length] == ' ');
  }
}

static byte_buffer node_of(const char *op, const char *inputs, const char *outputs) {
  byte_buffer node = {0};
  put_names(&node, 1, inputs);
  put_names(&node, 2, outputs);
  put_text(&node, 4, op);
  return node;
}

static byte_buffer attribute_of(const char *name, int type) {
  byte_buffer attribute = {0};
  put_text(&attribute, 1, name);
  put_number(&attribute, 20, type);
  return attribute;
}

void onnx_node(onnx_writer *w, const char *op, const char *inputs, const char *outputs) {
  byte_buffer node = node_of(op, inputs, outputs);
  put_message(&w->graph, 1, &node);
}

void onnx_node_int(onnx_writer *w, const char *op, const char *inputs, const char *outputs, const char *name,
                   int64_t value) {
  byte_buffer node = node_of(op, inputs, outputs), attribute = attribute_of(name, 2);
  put_number(&attribute, 3, value);
  put_message(&node, 5, &attribute);
  put_message(&w->graph, 1, &node);
}

void onnx_node_ints(onnx_writer *w, const char *op, const char *inputs, const char *outputs, const char *name,
                    int count, const int64_t *values) {
  byte_buffer node = node_of(op, inputs, outputs), attribute = attribute_of(name, 7);
  for (int i = 0; i < count; i++) put_number(&attribute, 8, values[i]);
  put_message(&node, 5, &attribute);
  put_message(&w->graph, 1, &node);
}

void onnx_node_graphs(onnx_writer *w, const char *op, const char *inputs, const char *outputs, int count,
                      const char *const *attributes, onnx_writer *graphs) {
  byte_buffer node = node_of(op, inputs, outputs);
  for (int i = 0; i < count; i++) {
    byte_buffer attribute = attribute_of(attributes[i], 5);
    put_text(&graphs[i].graph, 2, attributes[i]);
    put_message(&attribute, 6, &graphs[i].graph);
    put_message(&node, 5, &attribute);
  }
  put_message(&w->graph, 1, &node);
}

void onnx_finish(onnx_writer *w) {
  byte_buffer opset = {0};
  put_text(&w->graph, 2, "test");
  put_number(&w->model, 1, 8);
  put_message(&w->model, 7, &w->graph);
  put_text(&opset, 1, "");
  put_number(&opset, 2, 17);
  put_message(&w->model, 8, &opset);
}

void onnx_free(onnx_writer *w) {
  free(w->graph.data);
  free(w->model.data);
  *w = (onnx_writer){0};
}
