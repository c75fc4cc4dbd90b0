#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "memory.h"

static void append(tp_json *json, const char *text, size_t bytes) {
  if (json->failed) return;
  if (json->cap - json->length <= bytes) {
    size_t cap = (json->length + bytes) * 2 + 256;
    char *grown = tp_realloc(json->text, cap);
    if (grown == NULL) {
      json->failed = true;
      return;
    }
    json->text = grown;
    json->cap = cap;
  }
  memcpy(json->text + json->length, text, bytes);
  json->length += bytes;
  json->text[json->length] = '\0';
}

static void separate(tp_json *json) {
  if (json->comma) append(json, ",", 1);
  json->comma = true;
}

/* Bytes of the UTF-8 character at `text`; 0 if it is not one (overlong, a surrogate, cut short, above
 * U+10FFFF). */
static size_t character_bytes(const unsigned char *text) {
  unsigned char first = text[0];
  if (first < 0x80) return 1;
  size_t bytes = first >= 0xC2 && first <= 0xDF   ? 2
                 : (first & 0xF0) == 0xE0         ? 3
                 : first >= 0xF0 && first <= 0xF4 ? 4
                                                  : 0;
  for (size_t i = 1; i < bytes; i++) {
    if ((text[i] & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && text[1] < 0xA0) return 0;
  if (first == 0xED && text[1] > 0x9F) return 0;
  if (first == 0xF0 && text[1] < 0x90) return 0;
  if (first == 0xF4 && text[1] > 0x8F) return 0;
  return bytes;
}

static void append_string(tp_json *json, const char *value) {
  append(json, "\"", 1);
  const unsigned char *at = (const unsigned char *)value;
  while (*at != '\0') {
    size_t bytes = character_bytes(at);
    if (bytes == 0) {
      append(json, "\xEF\xBF\xBD", 3); /* U+FFFD */
      at++;
      continue;
    }
    if (*at < 0x20 || *at == 0x7F) {
      char escape[8];
      append(json, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", *at));
    } else {
      if (*at == '"' || *at == '\\') append(json, "\\", 1);
      append(json, (const char *)at, bytes);
    }
    at += bytes;
  }
  append(json, "\"", 1);
}

void tp_json_open(tp_json *json, char bracket) {
  separate(json);
  append(json, &bracket, 1);
  json->comma = false;
}

void tp_json_close(tp_json *json, char bracket) {
  append(json, &bracket, 1);
  json->comma = true;
}

void tp_json_key(tp_json *json, const char *key) {
  separate(json);
  append_string(json, key);
  append(json, ":", 1);
  json->comma = false;
}

void tp_json_text(tp_json *json, const char *value) {
  separate(json);
  append_string(json, value);
}

void tp_json_number(tp_json *json, int64_t value) {
  char digits[24];
  separate(json);
  append(json, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, value));
}

void tp_json_null(tp_json *json) {
  separate(json);
  append(json, "null", 4);
}
