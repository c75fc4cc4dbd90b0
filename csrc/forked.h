/*
 * Whether this process was forked from one that had handles then. Locks that other threads held stay locked
 * in it, its engines have lost their threads, and a device does not follow it: nothing works, so nothing is
 * tried.
 */
#ifndef TP_FORKED_H
#define TP_FORKED_H

#include <stdbool.h>
#include <stdint.h>

/* From here on a fork is noticed; called before the first handle is given out. Any thread. */
void tp_watch_forks(void);

/* Whether this is such a process. Costs one load. */
bool tp_is_forked(void);

/* Sets the last error and returns TP_ERR_FORKED. */
int32_t tp_refuse_forked(void);

#endif
