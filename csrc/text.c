#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tp_text_add(tp_text *to, const char *format, ...) {
  size_t room = sizeof to->text - to->length;
  va_list arguments;
  va_start(arguments, format);
  int added = vsnprintf(to->text + to->length, room, format, arguments);
  va_end(arguments);
  if (added > 0) to->length += (size_t)added < room ? (size_t)added : room - 1;
}

void tp_text_tried(tp_text *to, const char *name, const char *reason) {
  size_t skip = strncmp(reason, name, strlen(name)) == 0 ? strlen(name) : 0;
  while (skip > 0 && (reason[skip] == ':' || reason[skip] == ' ')) skip++;
  tp_text_add(to, "%s\"%s\": %s", to->length > 0 ? "; " : "", name, reason + skip);
}
