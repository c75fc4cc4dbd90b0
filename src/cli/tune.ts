/** `trtpipe tune`: finds the configuration that suits a model on this machine, and says why. */

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, extname, resolve } from "node:path";
import { stringify } from "smol-toml";
import { pipe } from "../index.ts";
import type { PipeConfig, PipeDescription } from "../index.ts";
import { numberOf, UsageError } from "./arguments.ts";
import { secondsOf } from "./bench.ts";
import { closedLoop } from "./bench/loops.ts";
import { pipeTarget } from "./bench/pipe-target.ts";
import { readShapes } from "./bench/random-input.ts";
import { align, loadOf, shown } from "./bench/report.ts";
import type { RequestPlan } from "./bench/target.ts";
import { FAILED, makeCommand, type Command } from "./command.ts";
import { pipeArgs, pipeConfigOf } from "./pipe-args.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import type { Candidate, Space } from "./tune/candidates.ts";
import { choose, type Goal, type Measured } from "./tune/choose.ts";
import { explain } from "./tune/explain.ts";
import { search, type Found, type Measure } from "./tune/search.ts";

export const command: Command = makeCommand({
  name: "tune",
  about: "Finds instance_num, max, threads and batching_timeout for a model on this machine",
  args: {
    model: { type: "positional", required: true, description: "path of a model" },
    for: {
      type: "enum", options: ["throughput", "latency"], default: "throughput",
      description: "most requests a second, or the lowest p99",
    },
    "p99-ms": { type: "string", valueHint: "MS", description: "most requests a second with p99 below this" },
    clients: { type: "string", valueHint: "N", description: "that call at once; default 10" },
    seconds: { type: "string", valueHint: "S", description: "of a short measurement; default 1" },
    shape: { type: "string", valueHint: "NAME=1x3x64x64,...", description: "sizes of open dimensions" },
    backend: pipeArgs.backend,
    write: { type: "string", valueHint: "FILE.toml", description: "writes the configuration there" },
  },
  examples: [
    ["model.onnx", "most requests a second for ten clients"],
    ["model.onnx --clients 100 --p99-ms 50", "the same, but 99 of 100 answers come within 50 ms"],
    ["model.onnx --write model.toml", "a file that trtpipe serve takes"],
  ],
  run: async (args, terminal) => {
    const goal = readGoal(args.for, args["p99-ms"]);
    const clients = args.clients === undefined ? 10 : numberOf("--clients", args.clients, 1, 10_000);
    const measureMs = secondsOf(args.seconds ?? "1") * 1000;
    const plan: RequestPlan = { rows: 1, shapes: readShapes(args.shape), timeoutMs: undefined, seed: 1 };
    const base: PipeConfig = pipeConfigOf(args.model, { backend: args.backend });
    const description = await look(base, terminal);
    const space = spaceOf(description, clients);
    const measure = measurer(base, plan, clients, terminal);
    const found = await run({ space, goal, measure, measureMs }, terminal);
    const best = choose(found.finalists, goal);
    if (best === undefined) return tell(found, goal, args.json === true, terminal);
    const backend = args.backend ?? description.backend;
    const toml = configOf({ model: args.model, backend }, best.candidate, plan.shapes);
    if (args.write !== undefined) writeFileSync(args.write, toml);
    if (args.json) terminal.out(JSON.stringify({ best, ...found }, null, 2));
    else terminal.out(report(best, found, goal, clients, args.write === undefined ? toml : ""));
    return undefined;
  },
}); // prettier-ignore

function readGoal(kind: string, limit: string | undefined): Goal {
  const p99LimitMs = limit === undefined ? undefined : Number(limit);
  if (p99LimitMs !== undefined && !(p99LimitMs > 0)) {
    throw new UsageError("--p99-ms", "ms above 0", JSON.stringify(limit));
  }
  return { kind: kind === "latency" ? "latency" : "throughput", p99LimitMs };
}

/** Opens the model once, to see what it is. */
async function look(base: PipeConfig, { signal }: Terminal): Promise<PipeDescription> {
  const models = await pipe({ ...base, warm_up: 0 }, { signal });
  const description = models.describe();
  await models.close();
  return description;
}

function spaceOf({ backend, batch, max }: PipeDescription, clients: number): Space {
  return {
    cores: availableParallelism(),
    clients,
    device: backend.includes("Tensorrt"),
    fixedMax: batch === "dynamic" ? undefined : max,
  };
}

/** Opens a pipe for each measurement, so that one leaves nothing behind for the next. */
function measurer(base: PipeConfig, plan: RequestPlan, clients: number, { signal }: Terminal): Measure {
  return async (candidate, measureMs) => {
    const target = await pipeTarget({ ...base, ...keysOf(candidate, plan.shapes) }, plan, signal);
    try {
      const warmUpMs = Math.min(500, measureMs / 2);
      const times = { warmUpMs, measureMs, atLeast: 3 * clients, signal, tick: () => {} };
      const figures = await closedLoop(target, clients, times);
      return {
        candidate,
        requestsPerS: figures.requests_per_s,
        p50Ms: figures.p50_ms ?? Infinity,
        p99Ms: figures.p99_ms ?? Infinity,
        meanBatch: figures.mean_batch ?? 0,
        failed: Object.values(figures.failures).reduce((sum, count) => sum + count, 0),
      };
    } finally {
      await target.close();
    }
  };
}

/** The keys of a configuration. With sizes for open dimensions, `max` is the full shapes. */
function keysOf(candidate: Candidate, shapes: RequestPlan["shapes"]): PipeConfig {
  const { instanceNum, intraOpThreads, max, batchingTimeoutMs } = candidate;
  const full = [...shapes.values()].map(([, ...dims]) => [max, ...dims].join("x")).join(",");
  return {
    instance_num: instanceNum,
    max: full === "" ? max : full,
    batching_timeout: batchingTimeoutMs,
    ...(intraOpThreads === null ? {} : { intra_op_threads: intraOpThreads }),
  };
}

async function run(plan: Omit<Parameters<typeof search>[0], "step">, terminal: Terminal): Promise<Found> {
  const progress = new Progress(terminal, "tuning");
  try {
    return await search({
      ...plan,
      step: (done, total) => progress.update(done / total, `measurement ${done + 1} of about ${total}`),
    });
  } finally {
    progress.end();
  }
}

/** A table of how serve's configuration files are made. */
function configOf(
  { model, backend }: { model: string; backend: string },
  candidate: Candidate,
  shapes: RequestPlan["shapes"],
): string {
  const name = basename(model, extname(model));
  return stringify({ [name]: { model: resolve(model), backend, ...keysOf(candidate, shapes) } });
}

function tell({ finalists }: Found, { p99LimitMs }: Goal, json: boolean, terminal: Terminal): number {
  const lowest = Math.min(...finalists.map((one) => one.p99Ms));
  const limit = p99LimitMs === undefined ? "without a failed request" : `with p99 within ${p99LimitMs} ms`;
  terminal.note(`trtpipe tune: no configuration ran ${limit}; the lowest p99 was ${shown(lowest)} ms`);
  if (json) terminal.out(JSON.stringify({ best: null, finalists }, null, 2));
  return FAILED;
}

const HEAD = [
  "",
  "instance_num",
  "threads",
  "max",
  "batching_timeout",
  "requests/s",
  "p50 ms",
  "p99 ms",
  "batch",
];

function report(best: Measured, found: Found, goal: Goal, clients: number, toml: string): string {
  const lines = found.finalists.map((one) => {
    const { instanceNum, intraOpThreads, max, batchingTimeoutMs } = one.candidate;
    const numbers = [instanceNum, intraOpThreads ?? "-", max, batchingTimeoutMs].map(String);
    const measured = [one.requestsPerS, one.p50Ms, one.p99Ms, one.meanBatch].map(shown);
    const marks = [one === best ? "best" : "", one === found.baseline ? "default" : ""];
    return [marks.filter((mark) => mark !== "").join(", "), ...numbers, ...measured];
  });
  return [
    `${loadOf({ clients })}, ${found.all.length} configurations; the last of them, measured in turn:`,
    "",
    align([HEAD, ...lines]),
    "",
    ...explain(best, found.all, goal),
    ...(toml === "" ? [] : ["", toml.trimEnd()]),
  ].join("\n");
}
