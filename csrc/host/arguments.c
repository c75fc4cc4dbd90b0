#include "arguments.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../memory.h"
#include "../status.h"

int32_t tp_host_arguments(int count, char **arguments, const char *owner, const tp_option_key *keys,
                          tp_options *options) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += strlen(arguments[i]) + 1;
  char *records = tp_alloc(bytes + 1), *at = records;
  if (records == NULL) return TP_ERR_MEMORY;
  for (int i = 0; i < count; i++) {
    size_t length = strlen(arguments[i]) + 1;
    memcpy(at, arguments[i], length);
    at += length;
  }
  int32_t status = tp_options_parse(records, (uint32_t)bytes, options);
  tp_free(records);
  if (status != TP_OK) return status;
  status = tp_options_check(options, owner, keys);
  if (status != TP_OK) tp_options_free(options);
  return status;
}

static void *watch(void *unused) {
  char byte;
  (void)unused;
  while (read(STDIN_FILENO, &byte, 1) > 0) {}
  _exit(3);
}

bool tp_host_tie_to_stdin(void) {
  pthread_t watcher;
  if (pthread_create(&watcher, NULL, watch, NULL) != 0) return false;
  pthread_detach(watcher);
  return true;
}
