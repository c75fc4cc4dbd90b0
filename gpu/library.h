/* What the programs of this folder share: a libtrtpipe opened at run time, and one JSON object per line. */
#ifndef GPU_LIBRARY_H
#define GPU_LIBRARY_H

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../csrc/include/trtpipe.h"

#define FUNCTIONS(X)                                                                            \
  X(tp_abi_version, uint32_t, (void))                                                           \
  X(tp_last_error, int32_t, (char *text, uint32_t cap))                                         \
  X(tp_model_open, int32_t, (const char *, uint32_t, const void *, uint64_t, uint32_t *))       \
  X(tp_model_describe, int32_t, (uint32_t, char *, uint32_t))                                   \
  X(tp_model_close, int32_t, (uint32_t))                                                        \
  X(tp_instance_create, int32_t, (uint32_t, uint32_t, uint32_t, uint32_t *))                    \
  X(tp_instance_bind_layout, int32_t, (uint32_t, const uint64_t *, const uint64_t *, uint32_t)) \
  X(tp_instance_bind_channel, int32_t, (uint32_t, uint32_t, void *, uint64_t, uint32_t))        \
  X(tp_instance_bind_batch, int32_t, (uint32_t, void *, uint64_t))                              \
  X(tp_instance_run, int32_t, (uint32_t, uint32_t))                                             \
  X(tp_instance_destroy, int32_t, (uint32_t))                                                   \
  X(tp_result_copy, int32_t, (uint32_t, uint32_t, uint32_t, void *, uint64_t))                    \
  X(tp_result_release, int32_t, (uint32_t))                                                     \
  X(tp_handle_count, uint32_t, (void))

#define DECLARE(name, result, parameters) static result(*p_##name) parameters;
FUNCTIONS(DECLARE)
#undef DECLARE

static int failures;

static inline double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Prints text as a JSON string. */
static void print_text(const char *key, const char *text) {
  printf(",\"%s\":\"", key);
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') printf("\\%c", *text);
    else if ((unsigned char)*text < 0x20) printf(" ");
    else putchar(*text);
  }
  printf("\"");
}

static int failed(const char *step, int32_t status) {
  char text[4096];
  p_tp_last_error(text, sizeof text);
  printf("{\"step\":\"%s\",\"ok\":false,\"status\":%d", step, (int)status);
  print_text("error", text);
  printf("}\n");
  failures++;
  return 0;
}

static int load_library(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 0;
  }
#define LOAD(name, result, parameters)           \
  {                                              \
    void *address = dlsym(library, #name);       \
    memcpy(&p_##name, &address, sizeof address); \
    if (address == NULL) {                       \
      fprintf(stderr, "no %s\n", #name);         \
      return 0;                                  \
    }                                            \
  }
  FUNCTIONS(LOAD)
#undef LOAD
  return p_tp_abi_version() >> 16 == TP_ABI_MAJOR;
}

/* Adds an option to `key=value` records; the new length. */
static size_t add_option(char *options, size_t used, size_t size, const char *option) {
  return used + (size_t)snprintf(options + used, size - used, "%s", option) + 1;
}

#endif
