/* The program's arguments as the library takes options: records `key=value`. */
#ifndef TP_HOST_ARGUMENTS_H
#define TP_HOST_ARGUMENTS_H

#include "../options.h"

/* Reads them, and checks that `owner` knows each key. Errors: ARGUMENT, MEMORY; the options are then {0}. */
int32_t tp_host_arguments(int count, char **arguments, const char *owner, const tp_option_key *keys,
                          tp_options *options);

/* Ends this process when the one that started it is gone: it held the other end of standard input.
 * False: no thread for it. */
bool tp_host_tie_to_stdin(void);

#endif
