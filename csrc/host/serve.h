/* The child's side of Process[X]. */
#ifndef TP_HOST_SERVE_H
#define TP_HOST_SERVE_H

/* Serves one parent until it hangs up; the exit code. `arguments`: the parent's process number. */
int tp_host_serve(int count, char **arguments);

#endif
