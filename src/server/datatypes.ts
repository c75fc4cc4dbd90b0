/** The protocol's names of element types. */

import type { Dtype } from "../index.ts";
import { RequestError } from "./failure.ts";

interface Datatype {
  dtype: Dtype;
  bytes: number;
}

const datatypes: ReadonlyMap<string, Datatype> = new Map(
  Object.entries({
    BOOL: { dtype: "bool", bytes: 1 },
    UINT8: { dtype: "uint8", bytes: 1 },
    UINT16: { dtype: "uint16", bytes: 2 },
    UINT32: { dtype: "uint32", bytes: 4 },
    UINT64: { dtype: "uint64", bytes: 8 },
    INT8: { dtype: "int8", bytes: 1 },
    INT16: { dtype: "int16", bytes: 2 },
    INT32: { dtype: "int32", bytes: 4 },
    INT64: { dtype: "int64", bytes: 8 },
    FP16: { dtype: "float16", bytes: 2 },
    BF16: { dtype: "bfloat16", bytes: 2 },
    FP32: { dtype: "float32", bytes: 4 },
    FP64: { dtype: "float64", bytes: 8 },
  } as const),
);

const names = new Map([...datatypes].map(([name, { dtype }]) => [dtype, name]));

/** `FP32` for `float32`. */
export function datatypeOf(dtype: Dtype): string {
  return names.get(dtype)!;
}

/** The element type that a client names for an input. */
export function dtypeOf(datatype: unknown, input: string): Dtype {
  const found = datatypes.get(datatype as string);
  if (found !== undefined) return found.dtype;
  if (datatype === "BYTES") {
    throw new RequestError(400, `Cannot accept input "${input}": BYTES tensors are not supported`);
  }
  const got = typeof datatype === "string" ? JSON.stringify(datatype.slice(0, 40)) : typeof datatype;
  const expected = [...datatypes.keys()].join(", ");
  throw new RequestError(
    400,
    `Cannot accept input "${input}": expected a datatype of ${expected}, got ${got}`,
  );
}
