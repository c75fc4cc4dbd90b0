/** onnxruntime-node as a program uses it. */

import { createRequire } from "node:module";
import type { InferenceSession } from "onnxruntime-node";
import type { Item, ModelDescription } from "./data.ts";

const ort = createRequire(import.meta.url)("onnxruntime-node") as typeof import("onnxruntime-node");

/** `intraOpThreads` undefined: what ONNX Runtime takes by itself, one thread for each core. */
export function openSession(model: ModelDescription, intraOpThreads?: number): Promise<InferenceSession> {
  return ort.InferenceSession.create(
    model.path,
    intraOpThreads === undefined ? {} : { intraOpNumThreads: intraOpThreads, interOpNumThreads: 1 },
  );
}

/** Runs `rows` items that lie one after the other in `data`; the outputs lie likewise. */
export async function runRows(
  session: InferenceSession,
  model: ModelDescription,
  data: Item,
  rows: number,
): Promise<Float32Array> {
  const tensor = new ort.Tensor(model.dtype, data, [rows, ...model.itemShape]);
  const answer = await session.run({ [model.input]: tensor });
  return answer[model.output].data as Float32Array;
}
