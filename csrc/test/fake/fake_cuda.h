/*
 * A CUDA driver for tests: device memory is host memory, a stream is a thread that works its queue off. It is
 * stricter than the real one: memory that is not a device's, a missing context or a copy past the end end the
 * process, and so does registered memory that is unmapped or still in use when it is unregistered, or that is
 * copied together with memory that is not registered. Also what the fake TensorRT and the tests use of it.
 */
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

/* Lets the n-th call of that function from now answer `error`; 0 takes all back. After one of the errors that
 * lose a context, all calls but a few answer it; one below 0 ends the process. */
void fake_cuda_fail(const char *name, int n, int error);

/* Whether such a failure is still to come. */
int fake_cuda_pending(void);

/* Streams, events and memory that were not given back. */
int fake_cuda_live(void);

/* From now on memory comes from one piece, without room between: what a pool may do. 0 takes it back. */
void fake_cuda_side_by_side(int on);

/* Host memory that is registered now, in bytes, and the copies from and to such memory so far. */
size_t fake_cuda_registered(void);
int fake_cuda_direct_copies(void);

/* Whether the calling thread has a context. */
int fake_cuda_has_context(void);

/* Whether these bytes are device memory. */
int fake_cuda_is_device(const void *memory, size_t bytes);

/* The number of the device that has this memory; -1: none. */
int fake_cuda_device_of(const void *memory);

/* Runs a job in the stream, or makes it part of the graph that is being captured. `argument` comes from
 * malloc and is freed after the last run. */
int fake_cuda_queue(void *stream, void (*job)(void *), void *argument);

/* Graphs that were launched so far. */
int fake_cuda_launches(void);

#endif
