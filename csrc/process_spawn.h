/* Starting the host program with exactly the descriptors that it is meant to have. */
#ifndef TP_PROCESS_SPAWN_H
#define TP_PROCESS_SPAWN_H

#include "process_child.h"

/*
 * Starts `host`, with our ends of its sockets in `child`. Everything of ours is closed in it but what
 * process_wire.h lists; it has our environment, and /dev/null as stdin. `model_file` below 0: none.
 * Errors: LIBRARY (the program cannot be started), MEMORY (no descriptors). Any thread.
 */
int32_t tp_spawn(const char *host, int shared_file, int model_file, tp_child *child);

#endif
