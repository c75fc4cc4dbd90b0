/** An ONNX model, from its file alone: no engine is asked. */

import { dirname } from "node:path";
import { batchOf, checkExternalData, readModelFile, type ModelInfo, type ValueInfo } from "../internal.ts";
import { shown, type Inspected, type Tensor } from "./inspected.ts";

interface InspectedModel extends Inspected {
  kind: "onnx";
  irVersion: number;
  opsets: ModelInfo["opsets"];
  producer: string;
  graph: string;
  batch: ReturnType<typeof batchOf>;
  nodes: number;
  operators: Readonly<Record<string, number>>;
  initializers: number;
  externalData: { files: readonly string[]; tensors: number; problem: string | null };
}

export function inspectModel(path: string): InspectedModel {
  const { path: file, bytes, info } = readModelFile(path);
  const model: InspectedModel = {
    kind: "onnx",
    file,
    bytes,
    irVersion: info.irVersion,
    opsets: info.opsets,
    producer: info.producer,
    graph: info.graph,
    inputs: info.inputs.map(tensor),
    outputs: info.outputs.map(tensor),
    batch: batchOf(info),
    nodes: info.nodeCount,
    operators: info.opCounts,
    initializers: info.initializerCount,
    externalData: {
      files: [...new Set(info.externalData.map(({ location }) => location))],
      tensors: info.externalData.length,
      problem: problemOf(path, file, info),
    },
    lines: [],
  };
  return { ...model, lines: describe(model) };
}

function tensor({ name, kind, dtype, dims }: ValueInfo): Tensor {
  return { name, dtype: kind === "tensor" ? dtype : kind, shape: dims };
}

/** What keeps the external data from being used, as loading would say it. */
function problemOf(path: string, file: string, { externalData }: ModelInfo): string | null {
  try {
    checkExternalData(path, dirname(file), externalData);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

const batches = {
  dynamic: () => "dynamic: the first dimension of every input and output is open",
  fixed: (rows: number) => `fixed: ${rows} ${rows === 1 ? "row" : "rows"} a run`,
  none: () => "none: inputs and outputs have no common first dimension, so each request runs alone",
};

function describe(model: InspectedModel): string[] {
  const { batch, operators, externalData } = model;
  const opsets = model.opsets.map(({ domain, version }) => `${domain === "" ? "onnx" : domain} ${version}`);
  const counts = Object.entries(operators).toSorted(([, a], [, b]) => b - a);
  const external = `${externalData.tensors} tensors in ${externalData.files.join(", ")}`;
  return [
    `${model.file}  ONNX model, ${model.bytes} bytes`,
    `  format         version ${model.irVersion}, opset ${opsets.join(", ")}`,
    ...(model.producer === "" ? [] : [`  producer       ${model.producer}`]),
    ...(model.inputs ?? []).map((value) => `  input          ${shown(value)}`),
    ...(model.outputs ?? []).map((value) => `  output         ${shown(value)}`),
    `  batch          ${batches[batch.kind](batch.kind === "fixed" ? batch.rows : 0)}`,
    `  nodes          ${model.nodes}, ${model.initializers} initializers`,
    `  operators      ${counts.map(([name, count]) => `${name} ${count}`).join(", ")}`,
    ...(externalData.tensors === 0 ? [] : [`  external data  ${external}`]),
    ...(externalData.problem === null ? [] : [`  problem        ${externalData.problem}`]),
  ];
}
