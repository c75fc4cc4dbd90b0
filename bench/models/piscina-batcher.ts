/**
 * A hand-written batcher in front of piscina workers that hold a session each; batches and answers are
 * transferred. This is what a careful program does today to keep its event loop free.
 */

import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { Batcher, stack } from "./batcher.ts";
import { readDescription } from "./data.ts";
import type { ModelData } from "./data.ts";
import type { PoolTask } from "./pool-worker.ts";
import type { Inference, Settings } from "./target.ts";

export async function open(model: ModelData, settings: Settings): Promise<Inference<Float32Array>> {
  const workers = settings.workers!;
  const pool = new Piscina({
    filename: fileURLToPath(new URL("./models-pool-worker.js", import.meta.url)),
    minThreads: workers,
    maxThreads: workers,
    workerData: { model: readDescription(model.name), intraOpThreads: settings.intraOpThreads! },
  });
  const run = (task: PoolTask): Promise<Float32Array> =>
    pool.run(task, { transferList: [task.data.buffer as ArrayBuffer] }) as Promise<Float32Array>;
  const batcher = new Batcher((items) => run({ data: stack(items), rows: items.length }), model, {
    max: settings.max!,
    flush: settings.flush!,
    concurrent: workers,
  });
  return {
    send: (item) => batcher.send(item),
    output: (answer) => answer,
    counters: () => ({ batches: batcher.batches, rows: batcher.rows }),
    close: () => pool.destroy(),
  };
}
