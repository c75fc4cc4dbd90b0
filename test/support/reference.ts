/** What onnxruntime-node, called directly, answers: the measure of every result. */

import * as ort from "onnxruntime-node";
import { Tensor } from "trtpipe";
import type { Dtype } from "trtpipe";
import type { ModelBytes } from "../models.ts";

export type Feeds = Readonly<Record<string, Tensor>>;

const sessions = new Map<ModelBytes, Promise<ort.InferenceSession>>();

/** All outputs by name. Sessions are kept for as long as the test file runs. */
export async function reference(model: ModelBytes, feeds: Feeds): Promise<Record<string, Tensor>> {
  const created = sessions.get(model) ?? ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  sessions.set(model, created);
  const session = await created;
  const outputs = await session.run(
    Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)])),
  );
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, fromOrt(tensor)]));
}

function toOrt({ dtype, data, shape }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as "float32", data as Float32Array, shape);
}

function fromOrt({ type, data, dims }: ort.Tensor): Tensor {
  return Tensor.from(data as Float32Array, { dtype: type as Dtype, shape: [...dims] });
}
