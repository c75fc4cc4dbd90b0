#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
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

/* Whether a path ends here as that of a source file does: in ".cc:12". */
static bool ends_in_source(const char *start, const char *end) {
  static const char *const kinds[] = {".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".inc"};
  const char *colon = end;
  while (colon > start && colon[-1] >= '0' && colon[-1] <= '9') colon--;
  if (colon == end || colon == start || *--colon != ':') return false;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    size_t length = strlen(kinds[i]);
    if ((size_t)(colon - start) > length && memcmp(colon - length, kinds[i], length) == 0) return true;
  }
  return false;
}

void tp_text_strip_folders(char *text) {
  static const char around[] = " \t\n\"'`()[]<>{},;=";
  char *to = text;
  for (const char *from = text; *from != '\0';) {
    size_t length = strcspn(from, around);
    /* What ends a sentence, or comes before the reason, is none of the path. */
    size_t path = length;
    while (path > 0 && (from[path - 1] == ':' || from[path - 1] == '.')) path--;
    const char *start = from, *name = from + path;
    /* "failed:/build/src/graph.cc:12" */
    while (start < name && !(start[0] == ':' && start[1] == '/')) start++;
    start = start < name ? start + 1 : from;
    if (ends_in_source(start, name)) {
      while (name > start && name[-1] != '/') name--;
      memmove(to, from, (size_t)(start - from));
      to += start - from;
    } else {
      name = from;
    }
    /* With the character that ended the word. */
    size_t left = (size_t)(from + length - name) + (from[length] != '\0');
    memmove(to, name, left);
    to += left;
    from = name + left;
  }
  *to = '\0';
}
