/**
 * `node gpu/expected.mjs MODEL OUT [ROWS]` writes what check.c compares with: inputs that follow from a seed,
 * and what ONNX Runtime makes of them on the CPU. The model has one input and one output of float32.
 */

import { writeFileSync } from "node:fs";
import { Tensor, pipe } from "../dist/index.js";

const [model, out, given = "4"] = process.argv.slice(2);
const rows = Number(given);
const models = await pipe({ model, backend: "OnnxTensor", max: 1 });
const { inputs, outputs } = models.describe();
if (inputs.length !== 1 || outputs.length !== 1) throw new Error("expected one input and one output");
const item = inputs[0].shape.slice(1);
const elements = item.reduce((product, dim) => product * dim, 1);

/** Numbers between -1 and 1, by xorshift. */
let state = 20_260_101;
function next() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state | 0) / 2 ** 31;
}

const data = Float32Array.from({ length: rows * elements }, next);
const results = [];
for (let row = 0; row < rows; row++) {
  const shape = [1, ...item];
  const tensor = Tensor.from(data.slice(row * elements, (row + 1) * elements), { shape });
  const { result } = await models({ data: tensor });
  results.push(...result.data);
}
await models.close();

const head = new Uint8Array(24);
head.set(new TextEncoder().encode("trtpipe1"));
new Uint32Array(head.buffer).set([rows, elements, results.length / rows], 2);
writeFileSync(out, Buffer.concat([head, bytesOf(data), bytesOf(Float32Array.from(results))]));

function bytesOf({ buffer }) {
  return new Uint8Array(buffer);
}
