/** A piscina worker with a session of its own. */

import { Piscina } from "piscina";
import type { Item, ModelDescription } from "./data.ts";
import { openSession, runRows } from "./onnxruntime.ts";

export interface PoolTask {
  data: Item;
  rows: number;
}

const { model, intraOpThreads } = Piscina.workerData as { model: ModelDescription; intraOpThreads: number };
const session = await openSession(model, intraOpThreads);

export default async function (task: PoolTask): Promise<Float32Array> {
  const outputs = await runRows(session, model, task.data, task.rows);
  // Transferred if the memory can be; ONNX Runtime's own cannot, and is copied first.
  return Piscina.move(outputs.slice()) as unknown as Float32Array;
}
