#include "device_fixture.h"

#include "../device_queue.h"

void open_device(uint32_t device) {
  char options[4096];
  int length = snprintf(options, sizeof options, "cuda=%s", getenv("TRTPIPE_FAKE_CUDA"));
  int32_t status = 0;
  for (int i = 0; status == 0 && i < 10000; i++) {
    status = tp_device_open(device, options, (uint32_t)length + 1);
    sleep_us(100);
  }
  CHECK_EQUAL(1, status);
}

uint32_t make_floats(uint32_t device, uint32_t count, float first) {
  uint32_t tensor = 0;
  CHECK_EQUAL(TP_OK, tp_device_allocate(device, count * sizeof(float), &tensor));
  for (uint32_t i = 0; i < count; i++) {
    float value = first + (float)i;
    CHECK_EQUAL(TP_OK, tp_device_write(tensor, i * sizeof value, &value, sizeof value));
  }
  return tensor;
}

void check_floats(uint32_t tensor, uint32_t count, float first, float sign) {
  float values[256];
  CHECK(count <= 256);
  CHECK_EQUAL(count * sizeof(float), info_of(tensor, 2));
  CHECK_EQUAL(TP_OK, tp_device_read(tensor, 0, values, count * sizeof(float)));
  for (uint32_t i = 0; i < count; i++) {
    float expected = sign * (first + (float)i);
    if (values[i] != expected) FAIL("element %u: %g, not %g", i, (double)values[i], (double)expected);
  }
}

uint64_t info_of(uint32_t tensor, int which) {
  uint64_t info[4];
  CHECK_EQUAL(TP_OK, tp_device_info(tensor, info));
  return info[which];
}

uint64_t usage_of(uint32_t device, int which) {
  uint64_t usage[3];
  CHECK_EQUAL(TP_OK, tp_device_usage(device, usage));
  return usage[which];
}

void check_devices_empty(void) {
  for (uint32_t device = 0; device < 2; device++) {
    CHECK_EQUAL(0, usage_of(device, 0));
    CHECK_EQUAL(0, usage_of(device, 1));
  }
  tp_device_queues_close();
  check_nothing_left();
}
