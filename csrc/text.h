/* Text that is put together piece by piece in memory of fixed size; what does not fit is cut. */
#ifndef TP_TEXT_H
#define TP_TEXT_H

#include "status.h"

/* Start with {0}. */
typedef struct tp_text {
  char text[3072];
  size_t length;
} tp_text;

void tp_text_add(tp_text *to, const char *format, ...) TP_FORMAT(2, 3);

/* Adds `"name": reason`, with "; " before all but the first; the name is left out of a reason that starts
 * with it. */
void tp_text_tried(tp_text *to, const char *name, const char *reason);

/*
 * Leaves of each place in a source file, as engines name theirs in error texts, the file's name and the line:
 * "/build/src/graph.cc:12" becomes "graph.cc:12". In what folder somebody has compiled is nobody's business.
 */
void tp_text_strip_folders(char *text);

#endif
