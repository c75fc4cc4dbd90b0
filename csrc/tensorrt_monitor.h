/*
 * TensorRT's progress monitor, of which a process has one: it writes how far a build is to a descriptor, as
 * lines of thousandths, a space and what is being done. What the reader does not take in time is dropped.
 */
#ifndef TP_TENSORRT_MONITOR_H
#define TP_TENSORRT_MONITOR_H

#include <stdint.h>

/* Says from here on what happens on `file`; below 0: says nothing. One build at a time. */
void tp_trt_monitor_begin(int file);
/* A step of ours, before TensorRT itself has something to tell. */
void tp_trt_monitor_tell(uint32_t permille, const char *stage);
/* The object for the builder's configuration; never freed. */
void *tp_trt_monitor(void);

#endif
