/* The public header, as the library's own sources include it: everything is hidden but what it declares. */
#ifndef TP_API_H
#define TP_API_H

#pragma GCC visibility push(default)
#include "include/trtpipe.h"
#pragma GCC visibility pop

#endif
