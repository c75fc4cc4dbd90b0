/** The figures of one runtime, for scripts/crowd.mjs: `main.ts NAME SECONDS COMMAND...` */

import { crowd, faultsOf } from "./crowd.ts";
import type { Figures } from "./crowd.ts";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const [name, seconds, ...server] = process.argv.slice(2);
const clients = [process.execPath, ...process.execArgv];
const figures = await crowd({ server, clients, seconds: Number(seconds), dripping: 500 });
console.log(told(name, figures));
const faults = faultsOf(figures);
for (const fault of faults) console.log(`  FAILED: ${fault}`);
process.exit(faults.length > 0 ? 1 : 0);

function told(runtime: string, seen: Figures): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const mib = (value: number): string => `${value.toFixed(0)} MiB`;
  const { requests, failures, p50Ms, p99Ms, maxMs, beforeMib, peakMib, statuses } = seen;
  const kinds = Object.entries(statuses).map(
    ([kind, counts]) =>
      `  ${kind}: ${Object.entries(counts)
        .map(([status, count]) => `${status} x ${count}`)
        .join(", ")}`,
  );
  return [
    `${runtime}: ${requests} honest requests, ${failures.length} failed`,
    `  p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, longest ${ms(maxMs)}; RSS ${mib(beforeMib)}, peak ${mib(peakMib)}`,
    ...kinds,
  ].join("\n");
}
