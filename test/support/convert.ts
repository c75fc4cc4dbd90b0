/**
 * `tsx test/support/convert.ts MODEL TO fp16|bf16|image`: writes the model as `pipe()` hands it to an engine
 * that computes in the model's own types, or with an image's keys.
 */

import { writeFileSync } from "node:fs";
import { checkModelFile } from "../../src/onnx/check.ts";
import { addImageInput } from "../../src/onnx/image-input.ts";
import { convertPrecision } from "../../src/onnx/precision.ts";
import { closeGraph, openGraph } from "../../src/onnx/prepare.ts";

const [from, to, what] = process.argv.slice(2);
const model = openGraph(checkModelFile(from), null);
if (what === "image") {
  const [mean, std] = [
    [123.675, 116.28, 103.53],
    [58.395, 57.12, 57.375],
  ];
  addImageInput(model, { input: null, mean, std, layout: "NHWC", dtype: "uint8" });
} else {
  const dtype = what === "bf16" ? "bfloat16" : "float16";
  convertPrecision(model, { dtype, all: true, half: [], float32: [] });
}
writeFileSync(to, closeGraph(model, from));
