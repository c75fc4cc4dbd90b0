/** Which processes the models bench runs, and what its rows are compared with. */

import type { Options } from "../lib/args.ts";
import { LIMIT, baseline } from "../lib/limit.ts";
import type { Row, Run, Table } from "../lib/plan.ts";
import type { Runtime } from "../lib/process.ts";
import type { Results } from "../lib/results.ts";
import { bundleCommand } from "../lib/run-child.ts";
import { loopCommand, settingName } from "./c-loop.ts";
import { readDescription } from "./data.ts";
import type { ModelName } from "./data.ts";
import { omnibackCommand } from "./omniback.ts";
import * as all from "./settings.ts";
import type { Named } from "./settings.ts";
import type { ModelsSpec, Settings } from "./target.ts";

export { LIMIT, baseline };
export const NAMES = {
  direct: "onnxruntime-node",
  batcher: "main-thread batcher",
  piscinaOne: "piscina batcher, 1 worker x 2 threads",
  piscinaTwo: "piscina batcher, 2 workers x 1 thread",
  omniback: "omniback (Python)",
  trtpipe: "trtpipe",
} as const;
export const PACKAGES: readonly string[] = ["trtpipe", "onnxruntime-node", "piscina", "koffi"];
export const CLIENTS: readonly number[] = [10, 100];

const WARM_UP_MS = 1000;
const START_AND_END_MS = 60_000;

/** Why a contender cannot be run on this machine; absent if it can. */
export interface Missing {
  cLoop?: string | undefined;
  omniback?: string | undefined;
}

export function plan(options: Options, models: readonly ModelName[], missing: Missing): Run[] {
  return models.flatMap((model) => [
    ...loopRuns(options, model, missing.cLoop),
    ...(options.inFlight ?? CLIENTS).flatMap((clients) => clientRuns(options, model, clients, missing)),
  ]);
}

function loopRuns(options: Options, model: ModelName, missing: string | undefined): Run[] {
  const measureMs = (options.seconds ?? 3) * 1000;
  return all.LOOPS[model].map((loop) => {
    const row: Row = {
      bench: "models", runtime: "native", contender: LIMIT, setting: settingName(loop), model,
      in_flight: loop.batch * loop.runs,
    }; // prettier-ignore
    const command =
      missing === undefined
        ? loopCommand(readDescription(model), loop, WARM_UP_MS / 2, measureMs)
        : { unavailable: missing, optional: false };
    return {
      name: `${model}, ${LIMIT}, ${row.setting}`,
      rows: new Map([["all", row]]),
      command,
      baseline: true,
    };
  });
}

function clientRuns(options: Options, model: ModelName, clients: number, missing: Missing): Run[] {
  const jobs: [keyof typeof NAMES, string, readonly Named<Settings>[]][] = [
    ["direct", "direct", [{ name: "", settings: {} }]],
    ["batcher", "batcher", all.BATCHERS],
    ["piscinaOne", "piscina", all.PISCINA_ONE],
    ["piscinaTwo", "piscina", all.PISCINA_TWO],
  ];
  const spec = (contender: string, settings: Settings): ModelsSpec => ({
    contender, model, clients, settings, warmUpMs: WARM_UP_MS, measureMs: (options.seconds ?? 3) * 1000,
  }); // prettier-ignore
  const timeoutMs = START_AND_END_MS + 3 * (WARM_UP_MS + spec("", {}).measureMs);
  const script = (
    runtime: Runtime,
    name: string,
    contender: string,
    { name: setting, settings }: Named<Settings>,
  ): Run => ({
    ...named(runtime, name, setting, model, clients),
    command: bundleCommand(runtime, "models", spec(contender, settings), timeoutMs, options.profile),
  });
  const inNode = options.runtimes.includes("node")
    ? jobs.flatMap(([key, contender, settings]) =>
        settings.map((each) => script("node", NAMES[key], contender, each)),
      )
    : [];
  const ours = options.runtimes.flatMap((runtime) =>
    all.TRTPIPE[model].map((each) => script(runtime, NAMES.trtpipe, "trtpipe", each)),
  );
  const omniback: Run = {
    ...named("python", NAMES.omniback, "", model, clients),
    command:
      missing.omniback === undefined
        ? omnibackCommand(readDescription(model), spec("omniback", all.OMNIBACK[model]), timeoutMs)
        : { unavailable: missing.omniback, optional: true },
  };
  return [...inNode, omniback, ...ours];
}

function named(
  runtime: Row["runtime"],
  contender: string,
  setting: string,
  model: ModelName,
  clients: number,
): Omit<Run, "command"> {
  const row: Row = { bench: "models", runtime, contender, model, in_flight: clients };
  if (setting !== "") row.setting = setting;
  const name = [model, `${clients} clients`, runtime, contender, setting].filter(Boolean).join(", ");
  return { name, rows: new Map([["all", row]]), baseline: false };
}

/** Every C loop and every setting of trtpipe; of the others the best setting, and those that failed. */
export function tables(results: Results): Table[] {
  const models = [...new Set(results.rows.map((row) => row.model!))];
  return models.flatMap((model) => {
    const rows = results.find({ model });
    const loops = rows.filter((row) => row.contender === LIMIT);
    const clients = [...new Set(rows.filter((row) => row.contender !== LIMIT).map((row) => row.in_flight))];
    const groups = clients.map((count) => ({
      title: `${model}, ${count} clients`,
      rows: rows.filter(
        (row) =>
          row.contender !== LIMIT &&
          row.in_flight === count &&
          (row.contender === NAMES.trtpipe || results.isBest(row) || results.error(row) !== undefined),
      ),
    }));
    return [{ title: `${model}, ${LIMIT}: items/s, latencies of a run`, rows: loops }].concat(groups);
  });
}
