/** Clients that each send a request, wait for its answer, and send the next one. */

import type { BatchReason, Pipe, PipeStats, Tensor } from "trtpipe";

export interface Photo {
  name: string;
  /** float32, 3x224x224. */
  data: Float32Array;
}

export interface Load {
  requests: number;
  failed: number;
  /** What the first failed request failed with. */
  error: string | null;
  /** Answers that differ from what the same photo gave alone. */
  wrong: number;
  elapsedMs: number;
  requestsPerS: number;
  p50Ms: number;
  p99Ms: number;
  /** Batches of this load alone. */
  batches: Batches;
}

export interface Batches {
  count: number;
  meanRows: number;
  meanWaitMs: number;
  meanRunMs: number;
  /** How often each size (index = rows) was sent for each reason. */
  sizes: Readonly<Record<BatchReason, readonly number[]>>;
}

/** Largest difference between two answers to one photo; batches of other sizes round otherwise. */
const TOLERANCE = 1e-3;

type Timing = "elapsedMs" | "requestsPerS" | "p50Ms" | "p99Ms";

/** Runs `clients` for `seconds`. Each answer is compared with what its photo gives when it is asked alone. */
export async function runClients(
  models: Pipe,
  photos: readonly Photo[],
  clients: number,
  seconds: number,
): Promise<Load> {
  const expected: Float32Array[] = [];
  for (const { data } of photos) expected.push(await ask(models, data));
  const before = models.stats();
  const latenciesMs: number[] = [];
  const errors: string[] = [];
  let wrong = 0;
  const startMs = performance.now();
  const untilMs = startMs + seconds * 1000;
  const client = async (index: number): Promise<void> => {
    const { data } = photos[index % photos.length];
    while (performance.now() < untilMs) {
      const sentMs = performance.now();
      try {
        const scores = await ask(models, data);
        latenciesMs.push(performance.now() - sentMs);
        if (differ(scores, expected[index % photos.length])) wrong++;
      } catch (error) {
        errors.push(String(error));
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  const elapsedMs = performance.now() - startMs;
  const batches = difference(before, models.stats());
  const [error = null] = errors;
  return { ...summary(latenciesMs, elapsedMs), failed: errors.length, error, wrong, batches };
}

async function ask(models: Pipe, data: Float32Array): Promise<Float32Array> {
  const { result } = await models({ data });
  return (result as Tensor<"float32">).data;
}

function differ(scores: Float32Array, expected: Float32Array): boolean {
  return (
    scores.length !== expected.length ||
    scores.some((score, i) => !(Math.abs(score - expected[i]) < TOLERANCE))
  );
}

function summary(latenciesMs: number[], elapsedMs: number): Pick<Load, "requests" | Timing> {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const percentile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return {
    requests: sorted.length,
    elapsedMs,
    requestsPerS: (sorted.length / elapsedMs) * 1000,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
  };
}

/** A pipe counts from its start; this is what came between two readings. */
function difference(before: PipeStats, after: PipeStats): Batches {
  const count = after.batches - before.batches;
  const rows = after.rows - before.rows;
  const less = (reason: BatchReason): number[] =>
    after.sizes[reason].map((times, size) => times - before.sizes[reason][size]);
  return {
    count,
    meanRows: rows / count,
    meanWaitMs: (after.meanWaitMs * after.rows - before.meanWaitMs * before.rows) / rows,
    meanRunMs: (after.meanRunMs * after.batches - before.meanRunMs * before.batches) / count,
    sizes: { full: less("full"), idle: less("idle"), timeout: less("timeout"), drain: less("drain") },
  };
}
