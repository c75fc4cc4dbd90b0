/* An opened model with one instance, and callers' memory bound to it: what most tests start from. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "check.h"
#include "onnx_writer.h"

#define FIXTURE_CHANNELS 3
#define FIXTURE_SLOTS 32

typedef struct fixture {
  uint32_t model, instance, max_rows;
  uint32_t tensors;
  uint64_t offsets[TP_MAX_TENSORS], strides[TP_MAX_TENSORS];
  uint64_t payload_bytes;
  uint8_t *payloads[FIXTURE_CHANNELS];
  tp_batch *batch;
} fixture;

/* Opens a model from "key=value;key=value" and bytes (or NULL): the status of tp_model_open. */
int32_t open_model(const char *options, const void *bytes, size_t byte_count, uint32_t *model);

/* The same with OnnxTensor and the test's ONNX Runtime in the options. */
int32_t open_onnx(const char *options, const void *bytes, size_t byte_count, uint32_t *model);

/* Ends the test as skipped if there is no ONNX Runtime to test with. */
void need_onnxruntime(void);

/* Makes an instance with these strides and FIXTURE_CHANNELS callers of FIXTURE_SLOTS slots, and binds all. */
fixture make_fixture(uint32_t model, uint32_t max_rows, uint32_t min_rows, uint32_t tensors,
                     const uint64_t *strides);
/* Destroys the instance, and frees the callers' memory. The model stays open. */
void end_fixture(fixture *f);

/* Row `row` of the batch block. */
tp_row *row_of(const fixture *f, uint32_t row);
/* Puts row `row` of the next batch into a slot. */
void set_row(const fixture *f, uint32_t row, uint32_t channel, uint32_t slot);
/* Where tensor k lies in a slot. */
void *slot_data(const fixture *f, uint32_t channel, uint32_t slot, uint32_t k);

#endif
