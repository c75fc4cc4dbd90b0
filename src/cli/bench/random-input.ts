/** Inputs made up from what a model says of itself. The same seed makes the same values. */

import { Tensor } from "../../index.ts";
import type { Dtype, TensorSpec } from "../../index.ts";
import { UsageError } from "../arguments.ts";
import type { RequestPlan } from "./target.ts";

/**
 * One tensor for each input. Floats are in [-1, 1), integers 0 or 1, so that what is an index somewhere in
 * the model stays in range. Throws UsageError if an open dimension was given no size.
 */
export function randomInputs(
  specs: readonly TensorSpec[],
  batched: boolean,
  plan: RequestPlan,
): Record<string, Tensor> {
  const random = mulberry32(plan.seed);
  checkNames(specs, plan);
  return Object.fromEntries(
    specs.map((spec) => {
      const shape = shapeOf(spec, batched, plan);
      const size = shape.reduce((product, dim) => product * dim, 1);
      return [spec.name, Tensor.from(values(spec.dtype, size, random), { shape, dtype: spec.dtype })];
    }),
  );
}

function checkNames(specs: readonly TensorSpec[], { shapes }: RequestPlan): void {
  const names = specs.map(({ name }) => name);
  for (const name of shapes.keys()) {
    if (!names.includes(name)) throw new UsageError("--shape", `an input of ${names.join(", ")}`, name);
  }
}

function shapeOf({ name, shape }: TensorSpec, batched: boolean, plan: RequestPlan): number[] {
  const given = plan.shapes.get(name) ?? shape;
  if (given === null) throw new UsageError("--shape", `${name}=DIMS, because the model does not say`, "none");
  const full = batched ? [plan.rows, ...given.slice(1)] : [...given];
  const open = full.findIndex((dim) => dim < 0);
  if (open === -1) return full;
  const expected = `${name}=DIMS, because dimension ${open} of [${given.join(", ")}] is open`;
  throw new UsageError("--shape", expected, "none");
}

/** Reads `NAME=1x3x640x640`, several with commas between. Throws UsageError. */
export function readShapes(text: string | undefined): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const part of text === undefined ? [] : text.split(",")) {
    const [, name, dims] = /^(.+)=(\d+(?:x\d+)*)$/.exec(part) ?? [];
    if (dims === undefined) throw new UsageError("--shape", "NAME=1x3x640x640", JSON.stringify(part));
    shapes.set(name, dims.split("x").map(Number));
  }
  return shapes;
}

type Values = Parameters<typeof Tensor.from>[0];

function values(dtype: Dtype, size: number, random: () => number): Values {
  const float = (): number => random() * 2 - 1;
  const bit = (): number => (random() < 0.5 ? 0 : 1);
  switch (dtype) {
    case "float32":
      return new Float32Array(size).map(float);
    case "float64":
      return new Float64Array(size).map(float);
    case "float16":
      // Bits of numbers from 0.125 up to 1.
      return new Uint16Array(size).map(() => 0x3000 + Math.floor(random() * 0x0c00));
    case "bfloat16":
      return new Uint16Array(size).map(() => 0x3e00 + Math.floor(random() * 0x0180));
    case "int64":
      return new BigInt64Array(size).map(() => BigInt(bit()));
    case "uint64":
      return new BigUint64Array(size).map(() => BigInt(bit()));
    default:
      return new INTEGERS[dtype](size).map(bit);
  }
}

const INTEGERS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  bool: Uint8Array,
} as const;

/** Numbers in [0, 1), the same for the same seed. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
