#include "dtype.h"

#include <math.h>
#include <string.h>

size_t tp_dtype_bytes(int32_t dtype) {
  switch (dtype) {
    case TP_U8:
    case TP_I8:
    case TP_BOOL: return 1;
    case TP_U16:
    case TP_I16:
    case TP_F16:
    case TP_BF16: return 2;
    case TP_F32:
    case TP_I32:
    case TP_U32: return 4;
    case TP_I64:
    case TP_F64:
    case TP_U64: return 8;
    default: return 0;
  }
}

const char *tp_dtype_name(int32_t dtype) {
  static const char *const names[] = {
      "undefined",      "float32",    "uint8",          "int8",       "uint16",   "int16",
      "int32",          "int64",      "string",         "bool",       "float16",  "float64",
      "uint32",         "uint64",     "complex64",      "complex128", "bfloat16", "float8e4m3fn",
      "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",     "float4e2m1",
      "float8e8m0",     "uint2",      "int2",
  };
  return dtype >= 0 && (size_t)dtype < sizeof names / sizeof names[0] ? names[dtype] : "unknown";
}

static double half_value(uint16_t bits) {
  double sign = (bits & 0x8000) != 0 ? -1 : 1;
  int exponent = bits >> 10 & 0x1F;
  int fraction = bits & 0x3FF;
  if (exponent == 0x1F) return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
  if (exponent == 0) return sign * ldexp(fraction, -24);
  return sign * ldexp(fraction | 0x400, exponent - 25);
}

static double float_value(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return (double)value;
}

static int64_t whole(double value) { return value > -9e18 && value < 9e18 ? (int64_t)value : 0; }

int64_t tp_dtype_integer(int32_t dtype, const void *element) {
  uint64_t bits = 0;
  /* Little-endian, as all platforms are that we build for. */
  memcpy(&bits, element, tp_dtype_bytes(dtype));
  double wide;
  switch (dtype) {
    case TP_I8: return (int8_t)bits;
    case TP_I16: return (int16_t)bits;
    case TP_I32: return (int32_t)bits;
    case TP_I64: return (int64_t)bits;
    case TP_F16: return whole(half_value((uint16_t)bits));
    case TP_BF16: return whole(float_value((uint32_t)bits << 16));
    case TP_F32: return whole(float_value((uint32_t)bits));
    case TP_F64: memcpy(&wide, &bits, sizeof wide); return whole(wide);
    default: return bits > INT64_MAX ? 0 : (int64_t)bits;
  }
}
