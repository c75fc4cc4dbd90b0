/**
 * Makes ten inputs for each model and asks a session of its own, one item at a time, for the right answers.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { seededRandom } from "../lib/stats.ts";
import { DATA, INPUTS, TOLERANCE } from "./data.ts";
import type { Item, ModelDescription, ModelName } from "./data.ts";
import { fileFeatures } from "./magika-input.ts";

const ort = createRequire(import.meta.url)("onnxruntime-node") as typeof import("onnxruntime-node");

type Shape = Pick<ModelDescription, "dtype" | "itemShape">;

const SHAPES: Record<ModelName, Shape> = {
  resnet18: { dtype: "float32", itemShape: [3, 224, 224] },
  wide: { dtype: "float32", itemShape: [1024] },
  magika: { dtype: "int32", itemShape: [2048] },
  mlp: { dtype: "float32", itemShape: [64] },
};

/** Writes `<name>.json`, `.in` and `.out` to the data folder. */
export async function writeReference(name: ModelName, path: string): Promise<void> {
  const { dtype, itemShape } = SHAPES[name];
  const itemLength = itemShape.reduce((product, size) => product * size, 1);
  const inputs = await Promise.all(
    Array.from({ length: INPUTS }, (_, row) =>
      name === "magika" ? fileFeatures(row) : noise(itemLength, row),
    ),
  );
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const [input, output] = [session.inputNames[0], session.outputNames[0]];
  const expected: Float32Array[] = [];
  for (const item of inputs) {
    const answer = await session.run({ [input]: new ort.Tensor(dtype, item, [1, ...itemShape]) });
    expected.push((answer[output].data as Float32Array).slice());
  }
  await session.release();
  const checked = indicesToCheck(expected);
  assertTold(name, expected, checked);
  const outputLength = expected[0].length;
  const description: ModelDescription = {
    name, path, input, output, dtype, itemShape, itemLength, outputLength, checked,
  }; // prettier-ignore
  await mkdir(DATA, { recursive: true });
  await writeFile(`${DATA}/${name}.in`, joined(inputs));
  await writeFile(`${DATA}/${name}.out`, joined(expected));
  await writeFile(`${DATA}/${name}.json`, JSON.stringify(description));
}

/** Numbers in [-0.5, 0.5), the same on every run. */
function noise(length: number, row: number): Float32Array {
  const random = seededRandom(row + 1);
  return Float32Array.from({ length }, () => random() - 0.5);
}

/** Each answer's largest element, and some spread evenly. */
function indicesToCheck(expected: readonly Float32Array[]): number[] {
  const length = expected[0].length;
  const largest = expected.map((row) => row.indexOf(Math.max(...row)));
  const even = Array.from({ length: 8 }, (_, k) => Math.floor((k * length) / 8));
  return [...new Set([...largest, ...even])].toSorted((a, b) => a - b);
}

/** A check that could not tell two answers apart would not notice that they were swapped. */
function assertTold(name: string, expected: readonly Float32Array[], checked: readonly number[]): void {
  for (const [i, one] of expected.entries()) {
    for (const other of expected.slice(i + 1)) {
      if (!checked.some((index) => Math.abs(one[index] - other[index]) > 2 * TOLERANCE))
        throw new Error(
          `Cannot check answers of "${name}": two inputs give the same answer at the checked indices`,
        );
    }
  }
}

function joined(items: readonly Item[]): Buffer {
  return Buffer.concat(items.map((item) => new Uint8Array(item.buffer, item.byteOffset, item.byteLength)));
}
