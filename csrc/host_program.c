#include "host_program.h"

#include <stdio.h>
#include <string.h>

#include "loader.h"
#include "memory.h"

char *tp_host_program(const tp_options *options) {
  static const char name[] = "trtpipe-host";
  const char *given = tp_options_get(options, "host");
  if (given != NULL) return tp_copy(given, strlen(given));
  const char *path = tp_library_path((tp_function)tp_host_program, "");
  const char *slash = strrchr(path, '/');
  size_t folder = slash != NULL ? (size_t)(slash - path) + 1 : 0;
  char *host = tp_alloc(folder + sizeof name + 2);
  if (host == NULL) return NULL;
  /* Without a folder the system would look for it in PATH. */
  snprintf(host, folder + sizeof name + 2, "%.*s%s", (int)folder, folder > 0 ? path : "./", name);
  return host;
}
