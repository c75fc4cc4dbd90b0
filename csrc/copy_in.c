/* Callers' bytes on their way into slots. */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "status.h"

/* Whole lines only: stores of both kinds in one line would send it to memory twice. */
#define LINE_BYTES 64

/* As memcpy, but what is written is in no cache afterwards, and need not have been read from memory first. */
static void copy_past_caches(uint8_t *to, const uint8_t *from, size_t bytes) {
  size_t at = 0;
#ifdef __SSE2__
  size_t head = (size_t)(-(uintptr_t)to % LINE_BYTES);
  if (bytes >= head + LINE_BYTES) {
    memcpy(to, from, head);
    for (at = head; bytes - at >= LINE_BYTES; at += LINE_BYTES) {
      const __m128i *source = (const __m128i *)(const void *)(from + at);
      __m128i *line = (__m128i *)(void *)(to + at);
      __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
      __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
      _mm_stream_si128(line, a);
      _mm_stream_si128(line + 1, b);
      _mm_stream_si128(line + 2, c);
      _mm_stream_si128(line + 3, d);
    }
    /* These stores are ordered with no others, as the one that hands the row over, but by this. */
    _mm_sfence();
  }
#endif
  memcpy(to + at, from + at, bytes - at);
}

int32_t tp_copy_in(void *to, uint64_t offset, const void *from, uint64_t bytes, uint32_t flags) {
  if ((flags & ~TP_COPY_STREAM) != 0)
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy in: expected flags of TP_COPY_*, got %u", flags);
  if (bytes == 0) return TP_OK;
  if (to == NULL || from == NULL)
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy in: %s is NULL", to == NULL ? "to" : "from");
  uintptr_t start = (uintptr_t)to, source = (uintptr_t)from;
  if (offset > UINTPTR_MAX - start || bytes > UINTPTR_MAX - start - offset || bytes > UINTPTR_MAX - source)
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy in: %llu bytes to byte %llu are more than can be addressed",
                   (unsigned long long)bytes, (unsigned long long)offset);
  start += (uintptr_t)offset;
  if (start < source + bytes && source < start + bytes)
    return tp_fail(TP_ERR_ARGUMENT, "cannot copy in: the %llu bytes from and to overlap",
                   (unsigned long long)bytes);
  uint8_t *place = (uint8_t *)to + offset;
  if ((flags & TP_COPY_STREAM) != 0) copy_past_caches(place, from, (size_t)bytes);
  else memcpy(place, from, (size_t)bytes);
  return TP_OK;
}
