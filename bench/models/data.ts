/** A model's inputs and the right answers, as the bench writes them and the contenders read them. */

import { readFileSync } from "node:fs";

export type ModelName = "resnet18" | "wide" | "magika" | "mlp";

/** Distinct inputs of each model; the clients go round them. */
export const INPUTS = 10;

/**
 * Largest difference from the reference session that counts as right (fp32, batch sizes may change the order
 * of sums).
 */
export const TOLERANCE = 2e-3;

/** Where the files of all models are, relative to the repository's root. */
export const DATA = "build/bench/data";

export interface ModelDescription {
  name: ModelName;
  /** The ONNX file. */
  path: string;
  input: string;
  output: string;
  dtype: "float32" | "int32";
  /** Without the batch dimension. */
  itemShape: readonly number[];
  itemLength: number;
  outputLength: number;
  /** Indices of an output row that are compared; any two of the right answers differ in one of them. */
  checked: readonly number[];
}

export type Item = Float32Array | Int32Array;

export interface ModelData extends ModelDescription {
  inputs: readonly Item[];
  expected: readonly Float32Array[];
}

export function readDescription(name: ModelName): ModelDescription {
  return JSON.parse(readFileSync(`${DATA}/${name}.json`, "utf8")) as ModelDescription;
}

export function readModelData(name: ModelName): ModelData {
  const description = readDescription(name);
  const { itemLength, outputLength } = description;
  const input = bytesOf(`${DATA}/${name}.in`);
  const output = bytesOf(`${DATA}/${name}.out`);
  const all = description.dtype === "int32" ? new Int32Array(input) : new Float32Array(input);
  const expected = new Float32Array(output);
  const rows = Array.from({ length: INPUTS }, (_, row) => row);
  return {
    ...description,
    inputs: rows.map((row) => all.slice(row * itemLength, (row + 1) * itemLength)),
    expected: rows.map((row) => expected.slice(row * outputLength, (row + 1) * outputLength)),
  };
}

function bytesOf(path: string): ArrayBuffer {
  const file = readFileSync(path);
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
}

/** Whether `answer` is the right one, at the indices that are compared. */
export function isRight(model: ModelData, row: number, answer: Float32Array | undefined): boolean {
  if (answer?.length !== model.outputLength) return false;
  const expected = model.expected[row];
  for (const index of model.checked) {
    // Negated, so that NaN is wrong.
    if (!(Math.abs(answer[index] - expected[index]) <= TOLERANCE)) return false;
  }
  return true;
}
