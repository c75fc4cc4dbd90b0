/**
 * A hand-written batcher around onnxruntime-node, all on the main thread: fast, but its event loop is
 * blocked.
 */

import { Batcher, stack } from "./batcher.ts";
import type { ModelData } from "./data.ts";
import { openSession, runRows } from "./onnxruntime.ts";
import type { Inference, Settings } from "./target.ts";

export async function open(model: ModelData, settings: Settings): Promise<Inference<Float32Array>> {
  const session = await openSession(model);
  const batcher = new Batcher(
    (items) => runRows(session, model, items.length === 1 ? items[0] : stack(items), items.length),
    model,
    { max: settings.max!, flush: settings.flush!, concurrent: 1 },
  );
  return {
    send: (item) => batcher.send(item),
    output: (answer) => answer,
    counters: () => ({ batches: batcher.batches, rows: batcher.rows }),
    close: () => session.release(),
  };
}
