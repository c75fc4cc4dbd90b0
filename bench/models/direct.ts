/** onnxruntime-node called directly, on the main thread, one item at a time. */

import type { ModelData } from "./data.ts";
import { openSession, runRows } from "./onnxruntime.ts";
import type { Inference } from "./target.ts";

export async function open(model: ModelData): Promise<Inference<Float32Array>> {
  const session = await openSession(model);
  let runs = 0;
  return {
    send: (item) => {
      runs++;
      return runRows(session, model, item, 1);
    },
    output: (answer) => answer,
    counters: () => ({ batches: runs, rows: runs }),
    close: () => session.release(),
  };
}
