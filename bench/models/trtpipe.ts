/** trtpipe itself, through its public interface. */

import { pipe } from "trtpipe";
import type { Answered, PipeConfig, PipeInput, Tensor } from "trtpipe";
import type { ModelData } from "./data.ts";
import type { Inference, Settings } from "./target.ts";

export async function open(model: ModelData, settings: Settings): Promise<Inference<Answered<PipeInput>>> {
  const config: PipeConfig = {
    backend: "SyncTensor[OnnxTensor]",
    model: model.path,
    instance_num: settings.instanceNum ?? 1,
    batching_timeout: settings.batchingTimeoutMs ?? 0,
    max: settings.max!,
  };
  if (settings.intraOpThreads !== undefined) config.intra_op_threads = settings.intraOpThreads;
  const models = await pipe(config);
  return {
    send: (item) => models({ data: item }),
    output: (input) => (input.result as Tensor | undefined)?.data as Float32Array | undefined,
    counters: () => {
      const { batches, rows } = models.stats();
      return { batches, rows };
    },
    close: () => models.close(),
  };
}
