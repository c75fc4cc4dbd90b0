#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "status.h"

int32_t tp_options_parse(const char *text, uint32_t bytes, tp_options *options) {
  *options = (tp_options){0};
  if (text == NULL && bytes > 0) return tp_fail(TP_ERR_ARGUMENT, "cannot read options: the text is NULL");
  char *copy = tp_copy(text, bytes);
  if (copy == NULL) return TP_ERR_MEMORY;
  int32_t status = TP_OK;
  if (bytes > 0 && copy[bytes - 1] != '\0') {
    status = tp_fail(TP_ERR_ARGUMENT, "cannot read options: expected a NUL byte after the last record");
  }
  for (char *record = copy; status == TP_OK && record < copy + bytes; record += strlen(record) + 1) {
    char *equals = strchr(record, '=');
    if (equals == NULL || equals == record) {
      status = tp_fail(TP_ERR_ARGUMENT, "cannot read options: expected \"key=value\", got \"%.80s\"", record);
      break;
    }
    *equals = '\0';
    record = equals + 1;
  }
  options->text = copy;
  options->bytes = bytes;
  if (status != TP_OK) tp_options_free(options);
  return status;
}

void tp_options_free(tp_options *options) {
  tp_free(options->text);
  *options = (tp_options){0};
}

const char *tp_options_record(const tp_options *options, const char *at, const char **value) {
  /* `at` is a key: its value follows, and then the next key. */
  if (at != NULL) {
    at += strlen(at) + 1;
    at += strlen(at) + 1;
  } else {
    at = options->text;
  }
  if (at >= options->text + options->bytes) return NULL;
  *value = at + strlen(at) + 1;
  return at;
}

const char *tp_options_next(const tp_options *options, const char *key, const char *previous) {
  const char *end = options->text + options->bytes;
  const char *at = previous != NULL ? previous + strlen(previous) + 1 : options->text;
  while (at < end) {
    const char *value = at + strlen(at) + 1;
    if (strcmp(at, key) == 0) return value;
    at = value + strlen(value) + 1;
  }
  return NULL;
}

const char *tp_options_get(const tp_options *options, const char *key) {
  return tp_options_next(options, key, NULL);
}

static const tp_option_key *find_key(const tp_option_key *known, const char *key) {
  while (known->name != NULL && strcmp(known->name, key) != 0) known++;
  return known->name != NULL ? known : NULL;
}

static int32_t unknown_key(const char *owner, const char *key, const tp_option_key *known) {
  char list[512] = "";
  for (size_t used = 0; known->name != NULL && used < sizeof list; known++) {
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", known->name);
  }
  return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"%.80s\": %s knows %s", key, owner, list);
}

int32_t tp_options_check(const tp_options *options, const char *owner, const tp_option_key *known) {
  const char *end = options->text + options->bytes;
  for (const char *key = options->text; key < end;) {
    const char *value = key + strlen(key) + 1;
    const tp_option_key *found = find_key(known, key);
    if (found == NULL) return unknown_key(owner, key, known);
    if (!found->repeats && tp_options_next(options, key, value) != NULL) {
      return tp_fail(TP_ERR_ARGUMENT, "cannot use option \"%s\": it is given more than once", key);
    }
    key = value + strlen(value) + 1;
  }
  return TP_OK;
}

/* Digits only: no sign, no spaces, no empty text. */
static bool parse_digits(const char *text, size_t bytes, int64_t max, int64_t *value) {
  int64_t sum = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    int digit = text[i] - '0';
    if (digit > max || sum > (max - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return bytes > 0;
}

int32_t tp_options_number(const tp_options *options, const char *key, uint32_t min, uint32_t max,
                          uint32_t fallback, uint32_t *value) {
  *value = fallback;
  const char *text = tp_options_get(options, key);
  if (text == NULL) return TP_OK;
  int64_t number;
  if (!parse_digits(text, strlen(text), max, &number) || number < (int64_t)min) {
    return tp_fail(TP_ERR_ARGUMENT,
                   "cannot use option \"%s\": expected a number from %u to %u, got \"%.80s\"", key, min, max,
                   text);
  }
  *value = (uint32_t)number;
  return TP_OK;
}

int32_t tp_options_shape(const tp_options *options, const char *key, int32_t max_rank, int32_t *rank,
                         int64_t *dims) {
  const char *text = tp_options_get(options, key);
  if (text == NULL) return TP_OK;
  *rank = 0;
  for (const char *at = text; *text != '\0';) {
    size_t bytes = strcspn(at, "x");
    int64_t dim = -1;
    bool open = bytes == 2 && memcmp(at, "-1", 2) == 0;
    if (*rank == max_rank || (!open && !parse_digits(at, bytes, INT32_MAX, &dim))) {
      return tp_fail(
          TP_ERR_ARGUMENT,
          "cannot use option \"%s\": expected up to %d dimensions such as \"3x224x224\", got \"%.80s\"", key,
          max_rank, text);
    }
    dims[(*rank)++] = dim;
    if (at[bytes] == '\0') break;
    at += bytes + 1;
  }
  return TP_OK;
}
