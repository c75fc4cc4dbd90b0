/* SHA-256 (FIPS 180-4), to tell files apart and whole from damaged. */
#ifndef TP_SHA256_H
#define TP_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define TP_SHA256_BYTES 32

typedef struct tp_sha256 {
  uint32_t state[8];
  uint64_t bytes;
  uint8_t block[64]; /* the bytes since the last whole block */
} tp_sha256;

void tp_sha256_begin(tp_sha256 *sha);
void tp_sha256_add(tp_sha256 *sha, const void *data, size_t bytes);
void tp_sha256_end(tp_sha256 *sha, uint8_t digest[TP_SHA256_BYTES]);

/* The same as hexadecimal text. */
void tp_sha256_text(const uint8_t digest[TP_SHA256_BYTES], char text[2 * TP_SHA256_BYTES + 1]);

#endif
