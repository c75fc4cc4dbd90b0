/** `/status.json`: the status page's numbers. Sums since a model was loaded, of which it makes rates. */

import type { BatchReason, PipeStats } from "../index.ts";
import type { Catalog, ModelState } from "./catalog.ts";
import type { ServedModel } from "./served-model.ts";

export interface ServerStatus {
  name: "trtpipe";
  version: string;
  /** e.g. "node 20.20.2". */
  runtime: string;
  ready: boolean;
  /** ms since 1970, and seconds since the process began. */
  now_ms: number;
  uptime_s: number;
  http_connections: number;
  rss_bytes: number;
  models: ModelStatus[];
}

export interface ModelStatus {
  name: string;
  version: string;
  state: ModelState;
  /** Why it is not ready; empty if it is. */
  reason: string;
  /** null while it cannot be called. */
  serving: Serving | null;
}

export interface Serving {
  backend: string;
  engine: string;
  max: number;
  batching_timeout_ms: number;
  /** What each instance is doing. */
  instances: string[];
  in_flight: number;
  queue_rows: number;
  queue_limit_rows: number;
  /** Requests that were answered, and that were not, and ms of all of them. */
  answered: number;
  unanswered: number;
  request_ms: number;
  /** Requests up to each bound; the last count is of those above all bounds. */
  latency: { bounds_ms: number[]; counts: number[] };
  rows: number;
  batches: number;
  /** ms that rows waited for their batch, and that batches ran, added up. */
  queue_ms: number;
  compute_ms: number;
  /** Number of batches by why they went, and by their rows. Sizes that never were are left out. */
  batch_sizes: Record<BatchReason, [rows: number, batches: number][]>;
}

export interface StatusOptions {
  catalog: Catalog;
  version: string;
  connections: () => number;
  isReady: () => boolean;
}

export function statusOf({ catalog, version, connections, isReady }: StatusOptions): ServerStatus {
  const { bun, deno, node } = process.versions;
  return {
    name: "trtpipe",
    version,
    runtime: bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`,
    ready: isReady(),
    now_ms: Date.now(),
    uptime_s: Math.round(process.uptime()),
    http_connections: connections(),
    rss_bytes: process.memoryUsage.rss(),
    models: catalog.entries().map(({ name, version: model, state, reason, model: served }) => ({
      name,
      version: model,
      state,
      reason,
      serving: served && servingOf(served),
    })),
  };
}

function servingOf(model: ServedModel): Serving {
  const { description, tally } = model;
  const { seconds } = tally;
  const stats = model.stats();
  return {
    backend: description.backend,
    engine: description.engine,
    max: description.max,
    batching_timeout_ms: description.batchingTimeoutMs,
    instances: stats.instances.map(({ state }) => state),
    in_flight: stats.inFlight,
    queue_rows: description.maxQueue - stats.freeSlots,
    queue_limit_rows: description.maxQueue,
    answered: tally.answered,
    unanswered: tally.unanswered,
    request_ms: rounded(tally.successMs + tally.failMs),
    latency: { bounds_ms: seconds.bounds.map((bound) => bound * 1000), counts: [...seconds.counts] },
    rows: stats.rows,
    batches: stats.batches,
    queue_ms: rounded(stats.meanWaitMs * stats.rows),
    compute_ms: rounded(stats.meanRunMs * stats.batches),
    batch_sizes: batchSizes(stats),
  };
}

function batchSizes({ sizes }: PipeStats): Serving["batch_sizes"] {
  const some = (counts: readonly number[]): [number, number][] =>
    [...counts.entries()].filter(([, count]) => count > 0);
  const { full, idle, timeout, drain } = sizes;
  return { full: some(full), idle: some(idle), timeout: some(timeout), drain: some(drain) };
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
