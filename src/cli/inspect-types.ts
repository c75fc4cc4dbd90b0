/** TypeScript types of a model's inputs and outputs, for the code that calls it. */

import { basename } from "node:path";
import { dtypes, isDtype } from "../internal.ts";
import type { Inspected, Tensor } from "./inspected.ts";

type Known = Inspected & { inputs: readonly Tensor[]; outputs: readonly Tensor[] };

export function typesOf({ file, inputs, outputs }: Known): string {
  const given = inputs.length === 1 ? inputType(inputs[0]) : record(inputs, inputType);
  const got = outputs.length === 1 ? outputType(outputs[0]) : record(outputs, outputType);
  return [
    `// Made by trtpipe inspect --types from ${basename(file)}`,
    `import type { Tensor } from "trtpipe";`,
    "",
    ...inputs.map((tensor) => `// input ${comment(tensor)}`),
    `export type ModelData = ${given};`,
    "",
    ...outputs.map((tensor) => `// output ${comment(tensor)}`),
    `export type ModelResult = ${got};`,
    "",
    "/** A request; `result` is set when it was answered. */",
    "export interface ModelInput {",
    "  data: ModelData;",
    "  result?: ModelResult;",
    "}",
  ].join("\n");
}

function inputType({ dtype }: Tensor): string {
  return isDtype(dtype) ? `Tensor<"${dtype}"> | ${dtypes[dtype].tag}` : "never";
}

function outputType({ dtype }: Tensor): string {
  return isDtype(dtype) ? `Tensor<"${dtype}">` : "never";
}

function record(tensors: readonly Tensor[], type: (tensor: Tensor) => string): string {
  const fields = tensors.map((tensor) => `  ${JSON.stringify(tensor.name)}: ${type(tensor)};`);
  return `{\n${fields.join("\n")}\n}`;
}

/** On one line, whatever the name is. */
function comment({ name, dtype, shape }: Tensor): string {
  return `${JSON.stringify(name)} ${dtype} ${shape === null ? "of unknown shape" : JSON.stringify(shape)}`;
}
