/* The options of tp_model_open: `key=value` records, each ended by a NUL byte. */
#ifndef TP_OPTIONS_H
#define TP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"

/* A key that a backend knows. */
typedef struct tp_option_key {
  const char *name; /* NULL ends a list of keys */
  bool repeats;     /* may be given more than once */
} tp_option_key;

/* Parsed options. The text is a copy of our own: the caller's may change while we read. */
typedef struct tp_options {
  char *text; /* key NUL value NUL key NUL ... */
  size_t bytes;
} tp_options;

/* Errors: ARGUMENT (a record without `=`, without a key, or without its NUL byte), MEMORY. */
int32_t tp_options_parse(const char *text, uint32_t bytes, tp_options *options);
void tp_options_free(tp_options *options);

/* The first value of a key, or the next after `previous`; NULL if there is none. Owned by the options. */
const char *tp_options_get(const tp_options *options, const char *key);
const char *tp_options_next(const tp_options *options, const char *key, const char *previous);

/* The record after `at` (NULL: the first): its key, whose value is told; NULL after the last. */
const char *tp_options_record(const tp_options *options, const char *at, const char **value);

/* ARGUMENT, naming the key and those that `owner` knows, if a key is unknown or occurs too often. */
int32_t tp_options_check(const tp_options *options, const char *owner, const tp_option_key *known);

/* A whole number in min..max, or `fallback` if the key is absent. */
int32_t tp_options_number(const tp_options *options, const char *key, uint32_t min, uint32_t max,
                          uint32_t fallback, uint32_t *value);

/* A shape such as "3x224x224", "" for a scalar, -1 for an open dimension. `rank` and `dims` stay if the key
 * is absent. */
int32_t tp_options_shape(const tp_options *options, const char *key, int32_t max_rank, int32_t *rank,
                         int64_t *dims);

#endif
