/** A pipe of this process as the load generator sees it. */

import { pipe } from "../../index.ts";
import type { PipeConfig, PipeDescription } from "../../index.ts";
import { randomInputs } from "./random-input.ts";
import type { Counters, RequestPlan, Target } from "./target.ts";

export interface PipeTarget extends Target {
  readonly description: PipeDescription;
}

/** Opens the pipe and makes inputs for it. Throws what `pipe()` throws, and UsageError for open shapes. */
export async function pipeTarget(
  config: PipeConfig,
  plan: RequestPlan,
  signal: AbortSignal,
): Promise<PipeTarget> {
  const models = await pipe(config, { signal });
  const description = models.describe();
  try {
    const data = randomInputs(description.inputs, description.batch !== "none", plan);
    const options = plan.timeoutMs === undefined ? { signal } : { signal, timeout: plan.timeoutMs };
    return {
      about: aboutOf(description),
      description,
      // An object for each request: the pipe refuses one that is in flight already.
      send: async () => void (await models({ data }, options)),
      counters: async (): Promise<Counters> => {
        const { batches, rows } = models.stats();
        return { batches, rows };
      },
      close: () => models.close(),
    };
  } catch (error) {
    await models.close();
    throw error;
  }
}

function aboutOf(d: PipeDescription): string {
  return (
    `${d.model} on ${d.backend} (${d.engine}, ${d.runtime}), instance_num ${d.instanceNum}, max ${d.max}, ` +
    `batching_timeout ${d.batchingTimeoutMs} ms, ${d.intraOpThreads} threads each`
  );
}
