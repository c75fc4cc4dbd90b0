/** Tensors with values that tell where they came from. */

import { Tensor } from "trtpipe";
import type { Dtype } from "trtpipe";

/** Consecutive integers from `first`, in an element type that holds them; 0 and 1 in turn for bool. */
export function counting(shape: readonly number[], dtype: Dtype = "float32", first = 0): Tensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const values = Array.from({ length: size }, (_, i) => first + i);
  if (dtype === "bool")
    return Tensor.from(
      values.map((value) => value % 2 === 1),
      { dtype, shape },
    );
  const small = dtype === "int8" || dtype === "uint8" || dtype === "bfloat16";
  return Tensor.from(
    values.map((value) => (small ? value % 100 : value)),
    { dtype, shape },
  );
}

/** Values between -1 and 1 that follow from the seed alone. */
export function noise(shape: readonly number[], seed: number): Tensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  const values = Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return Tensor.from(values, { shape });
}
