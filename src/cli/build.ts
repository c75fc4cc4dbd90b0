/** `trtpipe build MODEL`: makes the engine of a model, with a bar that says how far it is. */

import { resolve } from "node:path";
import { build, type PipeConfig } from "../index.ts";
import { makeCommand, type Command } from "./command.ts";
import { Progress } from "./progress.ts";

export const command: Command = makeCommand({
  name: "build",
  about: "Build the engine of a model with TensorRT, and keep it",
  args: {
    model: { type: "positional", required: true, description: "path of an ONNX model" },
    cache: { type: "string", valueHint: "path", description: "the engine's file; default: MODEL.trt" },
    max: { type: "string", valueHint: "rows or shapes", description: "largest batch, as the key max" },
    min: { type: "string", valueHint: "rows or shapes", description: "smallest batch, as the key min" },
    precision: { type: "string", valueHint: "fp32", description: "fp32, tf32, fp16 or bf16" },
    device: { type: "string", valueHint: "number", description: "the CUDA device, counted from 0" },
    "optimization-level": { type: "string", valueHint: "0..5", description: "how long to look for kernels" },
    "max-workspace-size": { type: "string", valueHint: "MB", description: "memory that layers may use" },
    "hardware-compatibility": {
      type: "string",
      valueHint: "none",
      description: "none, ampere_plus or same_compute_capability: devices that it runs on besides",
    },
  },
  examples: [
    ["model.onnx --max 8", "model.onnx.trt, for batches of 1 to 8"],
    ["model.onnx --max 4x3x640x640 --precision tf32 --cache model.trt", "for images of one size"],
  ],
  run: async (args, terminal) => {
    const { model, json } = args;
    const cache = args.cache ?? `${model}.trt`;
    const given: [keyof PipeConfig, string | undefined][] = [
      ["max", args.max],
      ["min", args.min],
      ["precision", args.precision],
      ["device_id", args.device],
      ["optimization_level", args["optimization-level"]],
      ["max_workspace_size", args["max-workspace-size"]],
      ["hardware_compatibility", args["hardware-compatibility"]],
    ];
    const keys = Object.fromEntries(given.filter(([, value]) => value !== undefined)) as PipeConfig;
    const config: PipeConfig = { ...keys, backend: "TensorrtTensor", model, "model::cache": cache };
    const startMs = performance.now();
    const progress = new Progress(terminal, `Building ${cache}`);
    let built = false;
    try {
      for await (const { fraction, stage } of build(config, { signal: terminal.signal })) {
        built = true;
        progress.update(fraction, stage);
      }
    } finally {
      progress.end();
    }
    const seconds = (performance.now() - startMs) / 1000;
    const engine = resolve(cache);
    if (json) terminal.out(JSON.stringify({ engine, built, seconds }));
    else if (built) terminal.out(`${engine} built in ${seconds.toFixed(1)} s`);
    else terminal.out(`${engine} fits already`);
  },
});
