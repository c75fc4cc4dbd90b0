/* Writes small ONNX files into memory: just enough protobuf for the models that the tests need. */
#ifndef ONNX_WRITER_H
#define ONNX_WRITER_H

#include <stddef.h>
#include <stdint.h>

typedef struct byte_buffer {
  uint8_t *data;
  size_t length, cap;
} byte_buffer;

/* A model in the making. Start with {0}; give it to onnx_free at the end. */
typedef struct onnx_writer {
  byte_buffer graph;
  byte_buffer model; /* complete after onnx_finish */
} onnx_writer;

#define NO_SHAPE (-1)

/* Dimensions: >= 0, or -1 for an open one without a name; rank NO_SHAPE: a tensor without a shape. */
void onnx_input(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims);
void onnx_output(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims);
/* An input or output that is a sequence of tensors. */
void onnx_sequence(onnx_writer *w, int output, const char *name, int dtype);
void onnx_initializer(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims,
                      const void *data, size_t data_bytes);

/* An initializer whose data is in a file beside the model's. */
void onnx_external(onnx_writer *w, const char *name, int dtype, int rank, const int64_t *dims,
                   const char *file);

/* Names are separated by spaces. */
void onnx_node(onnx_writer *w, const char *op, const char *inputs, const char *outputs);
/* The same with one integer attribute, or with one attribute that is a list of integers. */
void onnx_node_int(onnx_writer *w, const char *op, const char *inputs, const char *outputs,
                   const char *attribute, int64_t value);
void onnx_node_ints(onnx_writer *w, const char *op, const char *inputs, const char *outputs,
                    const char *attribute, int count, const int64_t *values);
/* A node with graphs as attributes (Loop: body; If: then_branch, else_branch), whose writers are used up. */
void onnx_node_graphs(onnx_writer *w, const char *op, const char *inputs, const char *outputs, int count,
                      const char *const *attributes, onnx_writer *graphs);

/* Completes the model: IR version 8, opset 17. */
void onnx_finish(onnx_writer *w);
void onnx_free(onnx_writer *w);

#endif
