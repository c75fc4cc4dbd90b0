/* Device tensors over the fake CUDA. */
#ifndef DEVICE_FIXTURE_H
#define DEVICE_FIXTURE_H

#include "trt_fixture.h"

/* Opens a device with the fake driver and waits until it can be used. */
void open_device(uint32_t device);

/* A tensor of `count` floats first, first + 1, ... */
uint32_t make_floats(uint32_t device, uint32_t count, float first);

/* The tensor must hold these numbers times `sign`. */
void check_floats(uint32_t tensor, uint32_t count, float first, float sign);

/* One of the 4 numbers of tp_device_info, one of the 3 of tp_device_usage. */
uint64_t info_of(uint32_t tensor, int which);
uint64_t usage_of(uint32_t device, int which);

/* No block, no byte, no handle, and nothing of the fakes is left. */
void check_devices_empty(void);

#endif
