/* Latencies in little memory: counts of nanoseconds, 32 buckets for each power of two (3 % wide). */
#ifndef LATENCY_H
#define LATENCY_H

#include <math.h>
#include <stdint.h>

enum { BUCKETS = 64 * 32 };

static int bucket_of(uint64_t ns) {
  if (ns < 32) return (int)ns;
  int power = 63 - __builtin_clzll(ns);
  return (power - 4) * 32 + (int)((ns >> (power - 5)) & 31);
}

static double bucket_us(int bucket) {
  if (bucket < 32) return bucket / 1e3;
  int power = bucket / 32 + 4;
  return ldexp(1.0 + (bucket % 32 + 0.5) / 32, power) / 1e3;
}

static double percentile_us(const uint64_t *histogram, uint64_t count, double fraction) {
  uint64_t rank = (uint64_t)((double)count * fraction), seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (seen > rank) return bucket_us(i);
  }
  return 0;
}

#endif
