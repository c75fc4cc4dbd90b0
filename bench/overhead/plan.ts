/** Which processes the overhead bench runs, and what its rows are compared with. */

import type { Options } from "../lib/args.ts";
import type { Row, Run, Table } from "../lib/plan.ts";
import type { Runtime } from "../lib/process.ts";
import type { Results } from "../lib/results.ts";
import { bundleCommand } from "../lib/run-child.ts";
import { ANSWER_BYTES, IN_PROCESS } from "./target.ts";
import type { OverheadSpec } from "./target.ts";

export const BASELINE = "Atomics hand-over";
/** Packages whose versions the result depends on. */
export const PACKAGES: readonly string[] = ["trtpipe", "piscina", "tinypool", "koffi"];

const CONTENDERS: readonly string[] = ["trtpipe", IN_PROCESS, "postMessage", "piscina", "tinypool"];
const THREADS: readonly number[] = [1, 2];
const PAYLOADS: readonly number[] = [0, 4096, 602_112];
const IN_FLIGHT: readonly number[] = [1, 10, 100, 1000];
const WARM_UP_MS = 400;
const START_AND_END_MS = 60_000;

export function plan(options: Options): Run[] {
  return options.runtimes.flatMap((runtime) => [
    overheadRun(options, runtime, BASELINE, 1, 0),
    ...CONTENDERS.filter((contender) => runtime === "node" || isOurs(contender)).flatMap((contender) =>
      THREADS.flatMap((threads) =>
        PAYLOADS.map((payload) => overheadRun(options, runtime, contender, threads, payload)),
      ),
    ),
  ]);
}

/** What runs in every runtime. */
function isOurs(contender: string): boolean {
  return contender === "trtpipe" || contender === IN_PROCESS;
}

function overheadRun(
  options: Options,
  runtime: Runtime,
  contender: string,
  threads: number,
  payload: number,
): Run {
  const inFlight = options.inFlight ?? IN_FLIGHT;
  const measureMs = (options.seconds ?? 1) * 1000;
  const spec: OverheadSpec = {
    contender,
    threads,
    payloadBytes: payload,
    inFlight,
    warmUpMs: WARM_UP_MS,
    measureMs,
  };
  const timeoutMs = START_AND_END_MS + inFlight.length * (WARM_UP_MS + measureMs) * 3;
  const rows = inFlight.map((clients): [string, Row] => [
    String(clients),
    { bench: "overhead", runtime, contender, threads, payload_bytes: payload, in_flight: clients },
  ]);
  return {
    name: `${runtime}, ${contender}, ${threads} ${threads === 1 ? "thread" : "threads"}, ${payload} bytes`,
    rows: new Map(rows),
    command: bundleCommand(runtime, "overhead", spec, timeoutMs, options.profile),
    baseline: contender === BASELINE,
  };
}

/** The bare hand-over in the same runtime with as many in flight, whatever the payload and the threads. */
export function baseline(row: Row, results: Results): Row | undefined {
  return results.find({ runtime: row.runtime, contender: BASELINE, in_flight: row.in_flight })[0];
}

/** The baseline of each runtime, and a table for each number of threads and each payload. */
export function tables(results: Results): Table[] {
  const runtimes = [...new Set(results.rows.map((row) => row.runtime))];
  const found = runtimes.flatMap((runtime) => [
    { title: `${runtime}, baseline`, rows: results.find({ runtime, contender: BASELINE }) },
    ...THREADS.flatMap((threads) =>
      PAYLOADS.map((payload) => contenderTable(results, runtime, threads, payload)),
    ),
  ]);
  return found.filter(({ rows }) => rows.length > 0);
}

function contenderTable(results: Results, runtime: Row["runtime"], threads: number, payload: number): Table {
  const rows = results.find({ runtime, threads, payload_bytes: payload });
  const workers = `${threads} worker ${threads === 1 ? "thread" : "threads"}`;
  return {
    title: `${runtime}, ${workers}, ${payload} bytes in, ${payload === 0 ? 0 : ANSWER_BYTES} bytes out`,
    rows: rows.filter((row) => row.contender !== BASELINE).toSorted((a, b) => a.in_flight - b.in_flight),
  };
}
