/* Taking the exits of our child processes, and of no others: the rest of the program may have its own. */
#ifndef TP_PROCESS_REAP_H
#define TP_PROCESS_REAP_H

#include <sys/types.h>

/* Takes a child's exit, waiting up to `limit_ms` for it: 1 when it is taken, 0 while the child lives, -1 when
 * somebody else took it. Any thread. */
int tp_reap(pid_t pid, double limit_ms, int *how);

/*
 * Kills a child whose exit was not taken yet, so that its number is still its own, and takes it. A child that
 * the kernel cannot end at once, because a driver holds it, is remembered, and its exit taken by a later call
 * of this kind. Any thread.
 */
void tp_kill(pid_t pid);

#endif
