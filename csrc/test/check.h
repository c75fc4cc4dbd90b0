/* Assertions of the C tests: a test prints what differs and ends the process with 1; 77: it was skipped. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../include/trtpipe.h"

#define SKIPPED 77

static inline const char *last_error(void) {
  static _Thread_local char text[4096];
  tp_last_error(text, sizeof text);
  return text;
}

#define FAIL(...)                                             \
  do {                                                        \
    fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);           \
    fprintf(stderr, __VA_ARGS__);                             \
    fprintf(stderr, " (last error: \"%s\")\n", last_error()); \
    exit(1);                                                  \
  } while (0)

#define CHECK(condition)                                \
  do {                                                  \
    if (!(condition)) FAIL("not true: %s", #condition); \
  } while (0)

#define CHECK_EQUAL(expected, actual)                                                           \
  do {                                                                                          \
    long long expected_ = (long long)(expected), actual_ = (long long)(actual);                 \
    if (expected_ != actual_) FAIL("%s: expected %lld, got %lld", #actual, expected_, actual_); \
  } while (0)

#define CHECK_TEXT(expected, actual)                                                              \
  do {                                                                                            \
    const char *expected_ = (expected), *actual_ = (actual);                                      \
    if (strcmp(expected_, actual_) != 0) FAIL("expected \"%s\", got \"%s\"", expected_, actual_); \
  } while (0)

/* The last error must hold this text. */
#define CHECK_ERROR(part)                                                                \
  do {                                                                                   \
    if (strstr(last_error(), part) == NULL) FAIL("expected an error with \"%s\"", part); \
  } while (0)

/* A call must fail with this status and this text. */
#define CHECK_FAILS(status, part, call) \
  do {                                  \
    CHECK_EQUAL(status, call);          \
    CHECK_ERROR(part);                  \
  } while (0)

static inline void sleep_us(uint32_t us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

/* Seeded numbers, the same in every run; the seed is printed where a test fails. */
static inline uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

#endif
