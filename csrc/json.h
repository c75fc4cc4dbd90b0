/* A small JSON writer. What it is given may be any bytes; what it writes is always valid JSON in UTF-8. */
#ifndef TP_JSON_H
#define TP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start with {0}. `failed` is set when memory ran out; the text is then not to be used. */
typedef struct tp_json {
  char *text;
  size_t length, cap;
  bool failed;
  bool comma; /* the next value or key is not the first of its object or array */
} tp_json;

void tp_json_open(tp_json *json, char bracket);
void tp_json_close(tp_json *json, char bracket);
void tp_json_key(tp_json *json, const char *key);
void tp_json_text(tp_json *json, const char *value);
void tp_json_number(tp_json *json, int64_t value);
void tp_json_null(tp_json *json);

#endif
