#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for a list of libraries that were tried, each with the loader's reason; longer texts are cut. */
#define TP_ERROR_BYTES 4096

static _Thread_local char last_error[TP_ERROR_BYTES];

/* Bytes up to `bytes` that end with a whole UTF-8 character. */
static size_t whole_characters(const char *text, size_t bytes) {
  while (bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80) bytes--;
  return bytes;
}

int32_t tp_fail(int32_t status, const char *format, ...) {
  /* Arguments may point into the last error itself (a text that wraps an earlier one). */
  char text[TP_ERROR_BYTES];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  size_t bytes = length < 0 ? 0 : (size_t)length;
  if (bytes >= sizeof text) bytes = whole_characters(text, sizeof text - 1);
  memcpy(last_error, text, bytes);
  last_error[bytes] = '\0';
  return status;
}

const char *tp_errno_text(int error, char *text, size_t cap) {
  if (strerror_r(error, text, cap) != 0) snprintf(text, cap, "error %d", error);
  return text;
}

int32_t tp_copy_text(const char *text, size_t length, char *to, uint32_t cap) {
  if (to != NULL && cap > 0) {
    size_t bytes = length < cap ? length : whole_characters(text, cap - 1);
    memcpy(to, text, bytes);
    to[bytes] = '\0';
  }
  return length > INT32_MAX ? INT32_MAX : (int32_t)length;
}

int32_t tp_last_error(char *text, uint32_t cap) {
  return tp_copy_text(last_error, strlen(last_error), text, cap);
}
