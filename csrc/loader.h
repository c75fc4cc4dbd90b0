/* Libraries that are opened at run time. They own threads, so they stay open until the process ends. */
#ifndef TP_LOADER_H
#define TP_LOADER_H

#include "text.h"

typedef void (*tp_function)(void);

/* Opens a library for good; NULL if that fails, which `tried` then tells with the loader's reason. */
void *tp_library_open(const char *name, tp_text *tried);

/* A function of a library; NULL if it has none of that name. */
tp_function tp_library_function(void *library, const char *name);

/* A variable of a library; NULL if it has none of that name. */
void *tp_library_data(void *library, const char *name);

/* The path of the file that a function came from, or `fallback`. */
const char *tp_library_path(tp_function function, const char *fallback);

#endif
