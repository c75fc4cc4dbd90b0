/** What the C library tells about a loaded model, checked: the JSON of tp_model_describe. */

import { InvariantError, show } from "../errors.ts";
import { MAX_RANK } from "../native/abi.ts";
import { dtypeOfNumber } from "./dtype.ts";
import type { Dtype } from "./types.ts";

export interface ModelDescription {
  backend: string;
  engine: string;
  library: string;
  /** What a person should know of how it was loaded; empty: nothing. */
  note: string;
  batch: "dynamic" | "fixed" | "none";
  /** Rows of a "fixed" batch, else 1. */
  batchSize: number;
  inputs: TensorDescription[];
  outputs: TensorDescription[];
}

export interface TensorDescription {
  name: string;
  dtype: Dtype;
  /** Item shape, without the batch dimension unless `batch` is "none"; -1 is open, null an unknown rank. */
  shape: readonly number[] | null;
}

/** Reads a description. Throws InvariantError: it comes from our own library. */
export function readDescription(description: unknown): ModelDescription {
  const fields = record(description, "description");
  const { backend, engine, library, batch, batch_size: batchSize } = fields;
  if (batch !== "dynamic" && batch !== "fixed" && batch !== "none") throw broken("batch", batch);
  if (!isDim(batchSize) || batchSize < 1) throw broken("batch_size", batchSize);
  return {
    backend: text(backend, "backend"),
    engine: text(engine, "engine"),
    library: text(library, "library"),
    note: fields.note === undefined ? "" : text(fields.note, "note"),
    batch,
    batchSize,
    inputs: tensors(fields.inputs, "inputs"),
    outputs: tensors(fields.outputs, "outputs"),
  };
}

function tensors(list: unknown, what: string): TensorDescription[] {
  if (!Array.isArray(list)) throw broken(what, list);
  return list.map((item: unknown, i) => {
    const where = `${what}[${i}]`;
    const { name, dtype: number, shape } = record(item, where);
    const dtype = typeof number === "number" ? dtypeOfNumber(number) : undefined;
    if (dtype === undefined) throw broken(`${where}.dtype`, number);
    const known = shape === null || (Array.isArray(shape) && shape.length <= MAX_RANK && shape.every(isDim));
    if (!known) throw broken(`${where}.shape`, shape);
    return { name: text(name, `${where}.name`), dtype, shape: shape as number[] | null };
  });
}

function isDim(dim: unknown): dim is number {
  return Number.isSafeInteger(dim) && (dim as number) >= -1;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw broken(what, value);
  return value as Record<string, unknown>;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw broken(what, value);
  return value;
}

function broken(what: string, value: unknown): InvariantError {
  return new InvariantError(`the model's ${what} is ${show(value)}`);
}
