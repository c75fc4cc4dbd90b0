/* Models of TensorrtTensor over the fake CUDA and the fake TensorRT. */
#ifndef TRT_FIXTURE_H
#define TRT_FIXTURE_H

#include <stdbool.h>

#include "fixture.h"

/* Opens the test's fakes; call it first. */
void need_fakes(void);

/* The family that this process tests: 10, 11 or 1 for RTX. */
int family(void);

/* Opens a model with TensorrtTensor and the fakes; `options` as for open_model. */
int32_t open_trt(const char *options, const void *bytes, size_t byte_count, uint32_t *model);

/* Orders the n-th call of a function of the fakes to fail; n 0 takes that back. */
void fail_trt(const char *name, int n);
void fail_cuda(const char *name, int n, int error);

/* Whether the last order of fail_cuda is still to come. */
bool cuda_failure_pending(void);

/* Orders the first call of a function to fail in the program that builds engines; NULL takes that back. */
void fail_build(const char *name);

/* Whether the fake driver's memory has no room between from now on. */
void side_by_side(int on);

/* Graphs that the fake driver has launched. */
int graph_launches(void);

/* Callers' memory that the fake driver has registered, in bytes, and its copies from and to such memory. */
size_t pinned_bytes(void);
int direct_copies(void);

/* Nothing of the fakes and no handle is left. */
void check_nothing_left(void);

/* y = -x for rows of `columns` numbers, any number of them. */
onnx_writer negation(int64_t columns);

#endif
