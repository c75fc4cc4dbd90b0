#define _GNU_SOURCE /* dladdr */
#include "loader.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

void *tp_library_open(const char *name, tp_text *tried) {
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library != NULL) return library;
  const char *reason = dlerror();
  tp_text_tried(tried, name, reason != NULL ? reason : "it cannot be loaded");
  return NULL;
}

tp_function tp_library_function(void *library, const char *name) {
  void *address = dlsym(library, name);
  /* A function from a data pointer: POSIX promises that it works, ISO C has no cast for it. */
  tp_function function;
  memcpy(&function, &address, sizeof function);
  return function;
}

void *tp_library_data(void *library, const char *name) { return dlsym(library, name); }

const char *tp_library_path(tp_function function, const char *fallback) {
  void *address;
  memcpy(&address, &function, sizeof address);
  Dl_info found;
  return dladdr(address, &found) != 0 && found.dli_fname != NULL ? found.dli_fname : fallback;
}
