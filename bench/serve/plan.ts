/** Which processes the serve bench runs, and what its rows are compared with. */

import { mkdirSync, writeFileSync } from "node:fs";
import type { Options } from "../lib/args.ts";
import { LIMIT, baseline } from "../lib/limit.ts";
import type { Row, Run, Table } from "../lib/plan.ts";
import { RUNTIME_PATHS } from "../lib/process.ts";
import type { Runtime } from "../lib/process.ts";
import type { Results } from "../lib/results.ts";
import { BUNDLES, bundleCommand } from "../lib/run-child.ts";
import { loopCommand, settingName } from "../models/c-loop.ts";
import { readDescription } from "../models/data.ts";
import type { Named } from "../models/settings.ts";
import type { Settings } from "../models/target.ts";
import type { ServeSpec } from "./client.ts";
import { PYTHON_SERVERS, pythonOf } from "./python.ts";
import type { PythonServer } from "./python.ts";
import { CLIENTS, SERVE_BATCHERS, SERVE_LOOPS, SERVE_PYTHON, SERVE_TRTPIPE } from "./settings.ts";
import type { Served } from "./settings.ts";

export { LIMIT, baseline };
export const NAMES = {
  http: "trtpipe serve HTTP",
  grpc: "trtpipe serve gRPC",
  batcher: "node:http batcher",
  mosec: "mosec (Python)",
  litserve: "LitServe (Python)",
} as const;
export const PACKAGES: readonly string[] = ["trtpipe", "onnxruntime-node", "koffi", "@grpc/grpc-js"];
export const PYTHON: readonly PythonServer[] = Object.keys(PYTHON_SERVERS) as PythonServer[];

const WARM_UP_MS = 1000;
const START_AND_END_MS = 90_000;
/** Written by the bench: what `trtpipe serve` is given. */
const CONFIGS = "build/bench/serve";

/** Why a contender cannot be run on this machine; absent if it can. */
export type Missing = Partial<Record<PythonServer | "cLoop", string | undefined>>;

/** How a server is started, and what is sent to it. */
type Server = Pick<ServeSpec, "file" | "args" | "env" | "protocol" | "format" | "path" | "hasStatus">;

export function plan(options: Options, models: readonly Served[], missing: Missing): Run[] {
  return models.flatMap((model) => [
    ...loopRuns(options, model, missing.cLoop),
    ...(options.inFlight ?? CLIENTS).flatMap((clients) => serverRuns(options, model, clients, missing)),
  ]);
}

function loopRuns(options: Options, model: Served, missing: string | undefined): Run[] {
  return SERVE_LOOPS[model].map((loop) => {
    const row: Row = {
      bench: "serve", runtime: "native", contender: LIMIT, setting: settingName(loop), model,
      in_flight: loop.batch * loop.runs,
    }; // prettier-ignore
    const measureMs = measuredMs(options);
    const command =
      missing === undefined
        ? loopCommand(readDescription(model), loop, WARM_UP_MS / 2, measureMs)
        : { unavailable: missing, optional: false };
    const rows = new Map([["all", row]]);
    return { name: `${model}, ${LIMIT}, ${row.setting}`, rows, command, baseline: true };
  });
}

function serverRuns(options: Options, model: Served, clients: number, missing: Missing): Run[] {
  const made = (runtime: Row["runtime"], contender: string, setting: string, server: Server): Run => {
    const row: Row = { bench: "serve", runtime, contender, setting, model, in_flight: clients };
    const name = [model, `${clients} clients`, runtime, contender, setting].join(", ");
    const measureMs = measuredMs(options);
    const limitMs = START_AND_END_MS + 3 * (WARM_UP_MS + measureMs);
    const spec: ServeSpec = { model, clients, warmUpMs: WARM_UP_MS, measureMs, limitMs, ...server };
    const command = bundleCommand("node", "serve", spec, limitMs + 15_000);
    return { name, rows: new Map([["all", row]]), command, baseline: false };
  };
  const ours = options.runtimes.flatMap((runtime) =>
    SERVE_TRTPIPE[model].flatMap((each) =>
      (["http", "grpc"] as const).map((protocol) =>
        made(runtime, NAMES[protocol], each.name, trtpipe(runtime, model, each, protocol, options.profile)),
      ),
    ),
  );
  const batchers = options.runtimes.includes("node")
    ? SERVE_BATCHERS.map((each) => made("node", NAMES.batcher, each.name, handBatcher(model, each)))
    : [];
  const others = PYTHON.flatMap((name) =>
    SERVE_PYTHON[model].map((each): Run => {
      const run = made("python", NAMES[name], each.name, pythonServer(name, model, each));
      const why = missing[name];
      return why === undefined ? run : { ...run, command: { unavailable: why, optional: true } };
    }),
  );
  return [...batchers, ...others, ...ours];
}

function measuredMs(options: Options): number {
  return (options.seconds ?? 3) * 1000;
}

function trtpipe(
  runtime: Runtime,
  model: Served,
  { settings }: Named<Settings>,
  protocol: "http" | "grpc",
  profile: boolean,
): Server {
  mkdirSync(CONFIGS, { recursive: true });
  const config = `${CONFIGS}/${model}.toml`;
  const keys = {
    model: readDescription(model).path.startsWith("/")
      ? readDescription(model).path
      : `../../../${readDescription(model).path}`,
    instance_num: settings.instanceNum ?? 1,
    max: settings.max,
    batching_timeout: settings.batchingTimeoutMs ?? 0,
    ...(settings.intraOpThreads === undefined ? {} : { intra_op_threads: settings.intraOpThreads }),
  };
  const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  writeFileSync(config, [`[${model}]`, ...lines, ""].join("\n"));
  const flags = {
    node: profile ? ["--cpu-prof", "--cpu-prof-dir=build/bench/profiles"] : [],
    bun: [],
    deno: ["run", "-A", "--quiet"],
  }[runtime];
  const ports = ["--port", "PORT", "--grpc-port", "GRPC_PORT"];
  return {
    file: RUNTIME_PATHS[runtime],
    args: [...flags, "dist/cli.js", "serve", config, ...ports, "--log-level", "warn"],
    env: {},
    protocol,
    format: "v2",
    path: `/v2/models/${model}/infer`,
    hasStatus: true,
  };
}

function handBatcher(model: Served, { settings }: Named<Settings>): Server {
  return {
    file: RUNTIME_PATHS.node,
    args: [`${BUNDLES}/serve-hand-batcher.js`, JSON.stringify({ model, settings })],
    env: { BENCH_PORT: "PORT" },
    protocol: "http",
    format: "v2",
    path: `/v2/models/${model}/infer`,
    hasStatus: false,
  };
}

function pythonServer(name: PythonServer, model: Served, { settings }: Named<Settings>): Server {
  const task = JSON.stringify({ description: readDescription(model), ...settings });
  const mosec = ["--port", "PORT", "--address", "127.0.0.1", "--timeout", "60000", "--log-level", "warning"];
  return {
    file: pythonOf(name),
    args: [`bench/python/serve_${name}.py`, ...(name === "mosec" ? mosec : [])],
    env: { BENCH_PORT: "PORT", BENCH_TASK: task },
    protocol: "http",
    format: name === "litserve" ? "base64" : "raw",
    path: name === "litserve" ? "/predict" : "/inference",
    hasStatus: false,
  };
}

/** Every row: there are few. */
export function tables(results: Results): Table[] {
  const models = [...new Set(results.rows.map((row) => row.model!))];
  return models.flatMap((model) => {
    const rows = results.find({ model });
    const loops = rows.filter((row) => row.contender === LIMIT);
    const others = rows.filter((row) => row.contender !== LIMIT);
    const clients = [...new Set(others.map((row) => row.in_flight))];
    const groups = clients.map((count) => ({
      title: `${model}, ${count} connections`,
      rows: others.filter((row) => row.in_flight === count),
    }));
    return [{ title: `${model}, ${LIMIT}: items/s, latencies of a run`, rows: loops }, ...groups];
  });
}
