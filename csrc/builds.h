/* Builds that another thread watches and may end: tp_build_open and what follows it. */
#ifndef TP_BUILDS_H
#define TP_BUILDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "options.h"

typedef struct tp_build tp_build;

/* The build that option "build" names, pinned; NULL without that option. Errors: ARGUMENT, HANDLE. */
int32_t tp_build_pin(const tp_options *options, tp_build **build);
void tp_build_unpin(const tp_options *options, tp_build *build);

/* All that follows takes NULL for a build that nobody watches. */

/* Whether it was cancelled: INTERRUPTED, with the last error set, else TP_OK. */
int32_t tp_build_check(tp_build *build);
/* The process that builds from here on; one that was cancelled before is killed at once. It is not reaped
 * before tp_build_left. */
void tp_build_entered(tp_build *build, pid_t child);
void tp_build_left(tp_build *build);
/* How far it is, in thousandths, and what it does. */
void tp_build_tell(tp_build *build, uint32_t permille, const char *stage);

#endif
