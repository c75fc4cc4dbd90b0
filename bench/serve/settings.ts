/** How each server is set up for each model. Of several settings all are run, and the best counts. */

import type { LoopSetting } from "../models/c-loop.ts";
import { BATCHERS, LOOPS, TRTPIPE } from "../models/settings.ts";
import type { Named } from "../models/settings.ts";
import type { Settings } from "../models/target.ts";

export const SERVED = ["resnet18", "mlp"] as const;
export type Served = (typeof SERVED)[number];

export const CLIENTS: readonly number[] = [10, 100];
export const SERVE_LOOPS: Record<Served, readonly LoopSetting[]> = LOOPS;
export const SERVE_TRTPIPE: Record<Served, readonly Named<Settings>[]> = TRTPIPE;

/** What does best of the batchers by hand in the models bench, with few clients and with many. */
export const SERVE_BATCHERS: readonly Named<Settings>[] = BATCHERS.filter(({ name }) =>
  ["max 8, 2 ms", "max 10, tick"].includes(name),
);

const python = (instanceNum: number): Named<Settings> => ({
  name: `${instanceNum} ${instanceNum === 1 ? "worker" : "workers"}, max 8, 2 ms`,
  settings: { instanceNum, max: 8, batchingTimeoutMs: 2, intraOpThreads: 1 },
});

/** A worker for each core; where a model costs nothing, one may do better. */
export const SERVE_PYTHON: Record<Served, readonly Named<Settings>[]> = {
  resnet18: [python(2)],
  mlp: [python(1), python(2)],
};
