/* Bytes into slots: all of them, none beside them, whatever the pieces' ends; and what is refused. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { ENDS = 64, BYTES = 300, GUARD = 0xEE, LARGE = 1 << 20, TURNS = 200 };

static const uint32_t flags[] = {0, TP_COPY_STREAM};

static void fill(uint8_t *to, size_t bytes, uint64_t seed) {
  for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)next_random(&seed);
}

/* `to` is on a line's start and has room for `at` + `bytes` + ENDS. */
static void check_copy(uint8_t *to, size_t at, const uint8_t *from, size_t bytes, uint32_t flag) {
  memset(to, GUARD, at + bytes + ENDS);
  CHECK_EQUAL(TP_OK, tp_copy_in(to, at, from, bytes, flag));
  if (memcmp(to + at, from, bytes) != 0) FAIL("%zu bytes to byte %zu differ, flags %u", bytes, at, flag);
  for (size_t i = 0; i < at + ENDS; i++) {
    size_t beside = i < at ? i : i + bytes;
    if (to[beside] != GUARD) FAIL("%zu bytes to byte %zu: byte %zu was written", bytes, at, beside);
  }
}

static void test_every_end(void) {
  static _Alignas(64) uint8_t to[ENDS + BYTES + ENDS], from[ENDS + BYTES];
  fill(from, sizeof from, 1);
  for (size_t at = 0; at < ENDS; at++) {
    for (size_t source = 0; source < ENDS; source++) {
      /* Each pair of ends with the lengths around whole lines, and with a third of the others. */
      for (size_t bytes = 0; bytes <= BYTES; bytes++) {
        if ((at + source + bytes) % 3 != 0 && (at + bytes) % 64 > 1) continue;
        check_copy(to, at, from + source, bytes, TP_COPY_STREAM);
      }
    }
    for (size_t bytes = 0; bytes <= BYTES; bytes++) check_copy(to, at, from + at / 2, bytes, 0);
  }
}

/* In memory of exactly their size, where a sanitizer sees the first byte beyond. */
static void test_large_ones(void) {
  static const size_t sizes[] = {65536, 65537, 602112, LARGE - 1, LARGE};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (size_t at = 0; at < ENDS; at += 7) {
      size_t source = at * 5 % ENDS;
      uint8_t *from = malloc(source + sizes[i]);
      uint8_t *to = aligned_alloc(64, (at + sizes[i] + ENDS + 63) / 64 * 64);
      fill(from, source + sizes[i], i);
      for (int f = 0; f < 2; f++) check_copy(to, at, from + source, sizes[i], flags[f]);
      uint8_t *exact = malloc(at + sizes[i]);
      CHECK_EQUAL(TP_OK, tp_copy_in(exact, at, from + source, sizes[i], TP_COPY_STREAM));
      CHECK(memcmp(exact + at, from + source, sizes[i]) == 0);
      free(exact);
      free(to);
      free(from);
    }
  }
}

static void test_refusals(void) {
  uint8_t memory[1000];
  fill(memory, sizeof memory, 5);
  uint8_t before[sizeof memory];
  memcpy(before, memory, sizeof memory);
  for (int f = 0; f < 2; f++) {
    uint32_t flag = flags[f];
    CHECK_EQUAL(TP_OK, tp_copy_in(NULL, UINT64_MAX, NULL, 0, flag));
    CHECK_EQUAL(TP_OK, tp_copy_in(memory, 5, memory + 5, 0, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "to is NULL", tp_copy_in(NULL, 0, memory, 1, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "from is NULL", tp_copy_in(memory, 0, NULL, 1, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "overlap", tp_copy_in(memory, 0, memory, 1, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "overlap", tp_copy_in(memory, 100, memory, 101, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "overlap", tp_copy_in(memory, 0, memory + 300, 301, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "addressed", tp_copy_in(memory, UINT64_MAX, memory, 1, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "addressed", tp_copy_in(memory, 1, memory + 500, UINT64_MAX, flag));
    CHECK_FAILS(TP_ERR_ARGUMENT, "addressed",
                tp_copy_in(memory, 0, memory + 500, UINT64_MAX - (uintptr_t)(memory + 250), flag));
  }
  CHECK_FAILS(TP_ERR_ARGUMENT, "got 2", tp_copy_in(memory, 0, memory + 500, 1, 2));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got 4294967295", tp_copy_in(memory, 0, memory + 500, 0, UINT32_MAX));
  CHECK(memcmp(memory, before, sizeof memory) == 0);
  /* Neighbours do not overlap. */
  CHECK_EQUAL(TP_OK, tp_copy_in(memory, 100, memory, 100, TP_COPY_STREAM));
  CHECK_EQUAL(TP_OK, tp_copy_in(memory, 300, memory + 500, 200, TP_COPY_STREAM));
  CHECK(memcmp(memory, before, 100) == 0 && memcmp(memory + 100, before, 100) == 0);
  CHECK(memcmp(memory + 300, before + 500, 200) == 0 && memcmp(memory + 500, before + 500, 500) == 0);
}

/* One thread copies into a row, hands it over as callers do, and another reads it. */
static uint8_t row[602112 + 3];
static _Atomic uint32_t turn;

static void *read_rows(void *unused) {
  for (uint32_t n = 1; n <= TURNS; n++) {
    while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * n - 1) {}
    for (size_t i = sizeof row - 1; i >= 3; i--)
      if (row[i] != (uint8_t)n) FAIL("turn %u: byte %zu is %u", n, i, row[i]);
    atomic_store_explicit(&turn, 2 * n, memory_order_release);
  }
  return unused;
}

static void test_hand_over(void) {
  pthread_t reader;
  uint8_t *from = malloc(sizeof row);
  CHECK_EQUAL(0, pthread_create(&reader, NULL, read_rows, NULL));
  for (uint32_t n = 1; n <= TURNS; n++) {
    memset(from, (int)n, sizeof row);
    CHECK_EQUAL(TP_OK, tp_copy_in(row, 3, from, sizeof row - 3, TP_COPY_STREAM));
    atomic_store_explicit(&turn, 2 * n - 1, memory_order_release);
    while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * n) {}
  }
  pthread_join(reader, NULL);
  free(from);
}

int main(void) {
  test_every_end();
  test_large_ones();
  test_refusals();
  test_hand_over();
  return 0;
}
