/* What the files of the fake driver share. */
#ifndef FAKE_CUDA_INTERNAL_H
#define FAKE_CUDA_INTERNAL_H

#include <stddef.h>
#include <stdio.h>

/* What this call answers: 0, or the error that was ordered for it. */
int fake_begin(const char *name);
/* The same; 201 where the thread has no context. */
int fake_begin_in_context(const char *name);

/* Waits as long as a test wants calls to hang. */
void fake_hold(void);

void fake_count(int change);

/* The number of the device whose context the thread has. */
int fake_device(void);

/* A copy of this host memory is queued (1) or done (-1). NULL is no host memory. */
void fake_host_used(const void *memory, size_t bytes, int change);

#endif
