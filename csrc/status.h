/* The thread's last error: what went wrong, in words, beside the status that a function returns. */
#ifndef TP_STATUS_H
#define TP_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

#if defined(__GNUC__)
#define TP_FORMAT(text, first) __attribute__((format(printf, text, first)))
#else
#define TP_FORMAT(text, first)
#endif

/* Sets the calling thread's last error and returns `status`, so that a failure is one statement: return
 * tp_fail(...). */
int32_t tp_fail(int32_t status, const char *format, ...) TP_FORMAT(2, 3);

/* What an errno value means, in the caller's buffer, which is also returned. */
const char *tp_errno_text(int error, char *text, size_t cap);

/* Copies text out as the header promises: NUL-terminated, cut between characters, returning the full length.
 */
int32_t tp_copy_text(const char *text, size_t length, char *to, uint32_t cap);

#endif
