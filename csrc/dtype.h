/* Element types: ONNX's TensorProto.DataType numbers, as far as they have a carrier in JavaScript. */
#ifndef TP_DTYPE_H
#define TP_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

/* Bytes of one element; 0 if the type is not one of ours. */
size_t tp_dtype_bytes(int32_t dtype);

/* The name of any ONNX element type, for messages. */
const char *tp_dtype_name(int32_t dtype);

/* One element as a number. `element` needs no alignment. NaN and values beyond the range of int64 count as 0.
 */
int64_t tp_dtype_integer(int32_t dtype, const void *element);

#endif
