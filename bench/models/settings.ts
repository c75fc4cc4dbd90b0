/**
 * How each contender is set up for each model. Where several settings are listed, all are run and the best
 * counts.
 */

import type { LoopSetting } from "./c-loop.ts";
import type { ModelName } from "./data.ts";
import type { Settings } from "./target.ts";

export const MODELS: readonly ModelName[] = ["resnet18", "wide", "magika", "mlp"];

/** The setting that ResNet18 is held against: the best for two cores. */
export const NAMED_LOOP = "b4 intra1 x2 shared";

export interface Named<S> {
  name: string;
  settings: S;
}

const shared = (batch: number): LoopSetting => ({ batch, intra: 1, runs: 2, shared: true });
const own = (batch: number): LoopSetting => ({ batch, intra: 1, runs: 2, shared: false });
const one = (batch: number, intra: number): LoopSetting => ({ batch, intra, runs: 1, shared: false });

/** Batch x runs is what a setting needs in flight: it can be the limit only for as many clients or more. */
export const LOOPS: Record<ModelName, readonly LoopSetting[]> = {
  resnet18: [shared(1), shared(4), one(8, 2), one(10, 2), shared(8)],
  wide: [shared(1), shared(5), one(10, 2), shared(16), one(32, 2)],
  magika: [shared(1), shared(4), one(1, 2), one(4, 2)],
  mlp: [own(1), own(5), one(10, 1), own(16), shared(16)],
};

/**
 * By-hand batchers: as large as ten clients make it, or a power of two; after 2 ms, or when the turn is
 * over.
 */
export const BATCHERS: readonly Named<Settings>[] = [8, 10].flatMap((max) => [
  { name: `max ${max}, 2 ms`, settings: { max, flush: 2 } },
  { name: `max ${max}, tick`, settings: { max, flush: "tick" } },
]);

/** One worker that computes with both cores, and two with one each. */
export const PISCINA_ONE: readonly Named<Settings>[] = flushes(10, { workers: 1, intraOpThreads: 2 });
export const PISCINA_TWO: readonly Named<Settings>[] = flushes(5, { workers: 2, intraOpThreads: 1 });

function flushes(max: number, settings: Settings): Named<Settings>[] {
  return [
    { name: `max ${max}, 2 ms`, settings: { ...settings, max, flush: 2 } },
    { name: `max ${max}, tick`, settings: { ...settings, max, flush: "tick" } },
  ];
}

export const TRTPIPE: Record<ModelName, readonly Named<Settings>[]> = {
  resnet18: [
    { name: "2 instances, max 4, 5 ms", settings: { instanceNum: 2, batchingTimeoutMs: 5, max: 4 } },
  ],
  wide: [
    { name: "1 instance x 2 threads, max 10", settings: { instanceNum: 1, max: 10, intraOpThreads: 2 } },
  ],
  magika: [
    { name: "2 instances, max 1", settings: { instanceNum: 2, max: 1 } },
    { name: "2 instances, max 4", settings: { instanceNum: 2, max: 4 } },
  ],
  mlp: [{ name: "1 instance x 1 thread, max 16", settings: { instanceNum: 1, max: 16, intraOpThreads: 1 } }],
};

/** omniback joins requests only with a timeout, so it has the shortest there is where trtpipe has none. */
export const OMNIBACK: Record<ModelName, Settings> = {
  resnet18: { instanceNum: 2, batchingTimeoutMs: 5, max: 4, intraOpThreads: 1 },
  wide: { instanceNum: 1, batchingTimeoutMs: 1, max: 10, intraOpThreads: 2 },
  magika: { instanceNum: 2, batchingTimeoutMs: 1, max: 4, intraOpThreads: 1 },
  mlp: { instanceNum: 1, batchingTimeoutMs: 1, max: 10, intraOpThreads: 1 },
};
