/** Shapes: lists of dimensions, the outermost first. */

import { InputError, show } from "../errors.ts";
import { MAX_RANK } from "../native/abi.ts";

/** Largest size of one dimension. */
export const DIM_MAX: number = 2 ** 31 - 1;

/** `[1, 3, 224, 224]` */
export function showShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** `1 element`, `6 elements` */
export function showCount(elements: number): string {
  return elements === 1 ? "1 element" : `${elements} elements`;
}

/** `1 row`, `4 rows` */
export function showRows(rows: number): string {
  return rows === 1 ? "1 row" : `${rows} rows`;
}

/** Elements of a tensor of this shape; beyond 2^53 - 1 not exact, but larger than that. */
export function elementsOf(shape: readonly number[]): number {
  let elements = 1;
  for (const dim of shape) elements *= dim;
  return elements;
}

/** A checked, frozen copy of a shape. Each element is read once. Throws InputError for `input`. */
export function checkShape(shape: unknown, input: string): readonly number[] {
  if (!Array.isArray(shape)) throw new InputError(input, "a shape as an array of integers", show(shape));
  const rank = shape.length;
  if (rank > MAX_RANK) throw new InputError(input, `a shape of at most ${MAX_RANK} dimensions`, `${rank}`);
  const dims: number[] = [];
  for (let d = 0; d < rank; d++) {
    const dim: unknown = shape[d];
    if (typeof dim !== "number" || !Number.isInteger(dim) || dim < 0 || dim > DIM_MAX) {
      throw new InputError(input, `dimension ${d} as an integer from 0 to ${DIM_MAX}`, show(dim));
    }
    dims.push(dim + 0);
  }
  if (elementsOf(dims) > Number.MAX_SAFE_INTEGER) {
    throw new InputError(input, "a shape of at most 2^53 - 1 elements", showShape(dims));
  }
  return Object.freeze(dims);
}
