/** `trtpipe inspect FILE`: what a model or an engine says about itself. */

import { FAILED, makeCommand, type Command } from "./command.ts";
import { inspectEngine } from "./inspect-engine.ts";
import { inspectModel } from "./inspect-model.ts";
import type { Inspected } from "./inspected.ts";
import { typesOf } from "./inspect-types.ts";
import type { Terminal } from "./terminal.ts";

export const command: Command = makeCommand({
  name: "inspect",
  about: "What is in a model or an engine: inputs, outputs, operators, external data, profiles",
  args: {
    file: { type: "positional", required: true, description: "path of an ONNX model or a TensorRT engine" },
    types: { type: "boolean", description: "print TypeScript types of its inputs and outputs" },
    device: {
      type: "string",
      valueHint: "number",
      default: "0",
      description: "CUDA device that reads an engine",
    },
  },
  examples: [
    ["model.onnx", "inputs, outputs, batch dimension, operators, external data"],
    ["--types model.onnx > model.d.ts", "types for the code that calls it"],
    ["--json model.engine", "what an engine was built for, and its profiles where TensorRT runs"],
  ],
  run: async ({ file, types, json, device }, terminal) => {
    const found = (await inspectEngine(file, device)) ?? inspectModel(file);
    if (types) return printTypes(found, terminal);
    const { lines, ...rest } = found;
    terminal.out(json ? JSON.stringify(rest, null, 2) : lines.join("\n"));
    return undefined;
  },
});

function printTypes(found: Inspected, terminal: Terminal): number | undefined {
  const { file, inputs, outputs } = found;
  if (inputs === null || outputs === null) {
    terminal.note(`trtpipe inspect: Cannot print types of ${file}: its inputs are known only where it runs`);
    return FAILED;
  }
  terminal.out(typesOf({ ...found, inputs, outputs }));
  return undefined;
}
