/** `trtpipe inspect MODEL`: what a model says about itself. */

import { checkModelFile, type CheckedModel, type ValueInfo } from "../internal.ts";
import { makeCommand, type Command } from "./command.ts";

export const command: Command = makeCommand({
  name: "inspect",
  about: "What is in a model: inputs, outputs, operators, external data",
  args: {
    model: { type: "positional", required: true, description: "path of an ONNX model" },
  },
  examples: [
    ["model.onnx", "inputs, outputs and operators"],
    ["--json model.onnx", "the same for a program"],
  ],
  run: async ({ model, json }, terminal) => {
    const checked = checkModelFile(model);
    terminal.out(json ? JSON.stringify(checked, null, 2) : describe(checked));
  },
});

function describe({ path, bytes, info }: CheckedModel): string {
  const opsets = info.opsets.map(({ domain, version }) => `${domain === "" ? "onnx" : domain} ${version}`);
  return [
    `${path}  ${bytes} bytes`,
    `  format    ONNX ${info.irVersion}, opset ${opsets.join(", ")}`,
    ...(info.producer === "" ? [] : [`  producer  ${info.producer}`]),
    ...info.inputs.map((value) => `  input     ${shown(value)}`),
    ...info.outputs.map((value) => `  output    ${shown(value)}`),
    `  nodes     ${info.nodeCount}`,
    `  operators ${info.opTypes.join(", ")}`,
  ].join("\n");
}

function shown({ name, kind, dtype, dims }: ValueInfo): string {
  const shape = dims === null ? "of unknown shape" : `[${dims.join(", ")}]`;
  return `${name}  ${kind === "tensor" ? dtype : kind} ${shape}`;
}
