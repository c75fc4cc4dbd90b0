/*
 * One table of handles for everything that has one. A handle is the slot's number in its lower 16 bits and
 * the slot's generation in its upper 16, so a handle that was closed stays wrong after its slot was given out
 * again.
 *
 * An object is only touched while its handle is pinned. Closing ends new pins at once; the object is
 * finalized by whoever leaves last, the closer or a thread that still had it pinned, so no thread ever sees
 * freed memory.
 */
#ifndef TP_HANDLES_H
#define TP_HANDLES_H

#include <stdint.h>

typedef enum tp_kind {
  TP_KIND_MODEL = 1,
  TP_KIND_INSTANCE,
  TP_KIND_RESULT,
  TP_KIND_WATCH,
  TP_KIND_BUILD,
  TP_KIND_DEVICE
} tp_kind;

/* Frees an object, or drops the handle's reference to it. Runs on the thread that leaves last. */
typedef void (*tp_finalize)(void *object);

/* Gives `object` a handle. Fails with TP_ERR_MEMORY when 65 536 handles are open, and with TP_ERR_FORKED; the
 * object is then left alone. */
int32_t tp_handle_open(tp_kind kind, void *object, tp_finalize finalize, uint32_t *handle_out);

/* The object of an open handle of this kind, pinned; NULL, with the last error set, if there is none. */
void *tp_handle_pin(uint32_t handle, tp_kind kind);

/* The status of a pin that was just refused: TP_ERR_HANDLE, or TP_ERR_FORKED. */
int32_t tp_handle_refused(void);

/* Ends a pin that tp_handle_pin gave. */
void tp_handle_unpin(uint32_t handle);

/* Closes a handle: TP_OK, or TP_ERR_HANDLE if it is not an open handle of this kind (TP_ERR_FORKED in a
 * forked child). Of two closers one wins. */
int32_t tp_handle_close(uint32_t handle, tp_kind kind);

#endif
