/* Where trtpipe-host is: the program for what is better done in another process. */
#ifndef TP_HOST_PROGRAM_H
#define TP_HOST_PROGRAM_H

#include "options.h"

/* What the option "host" names, else the program that lies beside this library. The caller frees it; NULL
 * when memory ran out. */
char *tp_host_program(const tp_options *options);

#endif
