/** Opens a pipe, uses it a little so that nothing is lazy any more, and then leaves it alone. */

import { setTimeout as sleep } from "node:timers/promises";
import type { IdleSpec } from "./idle.ts";
import { childSpec, report } from "./lib/child-io.ts";
import { cpuMicroseconds, loopDelayMonitor, peakResidentMb } from "./lib/process.ts";

/** After the last request threads may spin for a moment; that is not idling yet. */
const SETTLE_MS = 500;

const spec = childSpec<IdleSpec>();
const close = await openAndUse(spec);
await sleep(SETTLE_MS);
const cpu = cpuMicroseconds();
const from = performance.now();
await sleep(spec.seconds * 1000);
const used = cpuMicroseconds() - cpu;
const elapsedMs = performance.now() - from;
// After the measurement: a watched loop is not an idle one.
const monitor = loopDelayMonitor();
monitor.start();
await sleep(200);
const delay = monitor.stop();
report({
  cell: "all",
  requests: 0,
  wrong: 0,
  requests_per_s: 0,
  p50_us: null,
  p99_us: null,
  loop_delay_p50_ms: delay.p50,
  loop_delay_p99_ms: delay.p99,
  loop_delay_max_ms: delay.max,
  rss_mb: peakResidentMb(),
  mean_batch: null,
  cpu_us_per_request: null,
  cpu_cores: used / 1000 / elapsedMs,
});
await close();
process.exit(0);

async function openAndUse({ pipe: kind, model }: IdleSpec): Promise<() => Promise<void>> {
  if (kind === "none") return () => Promise.resolve();
  const { pipe } = await import("trtpipe");
  const identity = { backend: "(dtype=float32,shape=64)Identity" };
  const models = await pipe({
    ...(kind === "Identity" ? identity : { backend: kind, model }),
    instance_num: 2,
    max: 4,
  });
  const requests = Array.from({ length: 1000 }, () => models({ data: new Float32Array(64) }));
  await Promise.all(requests);
  return () => models.close();
}
