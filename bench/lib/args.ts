/** The command line. */

import { parseArgs } from "node:util";
import type { Runtime } from "./process.ts";

export type Bench = "overhead" | "models" | "serve" | "idle";

export interface Options {
  bench: Bench;
  rounds: number;
  /** Measured seconds of one cell; undefined: the bench's own. */
  seconds: number | undefined;
  seed: number;
  runtimes: Runtime[];
  /** Texts that the name of a run must contain, all of them. */
  filter: string[];
  /** Contenders to run besides the baseline; undefined: all. */
  only: string[] | undefined;
  /** Contenders to leave out. */
  without: string[];
  /** Numbers of clients to run; undefined: the bench's own. */
  inFlight: number[] | undefined;
  json: boolean;
  check: boolean;
  profile: boolean;
  modelsDir: string;
}

export const USAGE = `usage: npm run -s bench -- overhead | models | serve | idle [options]
  --rounds N          interleaved rounds, each a fresh process per row (default 5)
  --seconds S         measured seconds of each cell (default 1 for overhead, 10 for idle, else 3)
  --runtime R,...     node, bun, deno or all (default node); bun and deno run trtpipe and the baseline
  --filter A,B        only runs whose name contains all of these, e.g. --filter "resnet18,10 clients"
  --only A,B          only these contenders (and the baseline)
  --without A,B       all but these contenders, e.g. --without omniback
  --in-flight N,...   only these numbers of clients
  --seed N            order of the runs (default: from the clock; printed)
  --models-dir DIR    where the models are written and looked for (default .cache/models)
  --json              one JSON line per row on stdout; what is for people goes to stderr
  --check             exit code 1 if a goal that was measured is not met
  --cpu-prof          Node children write CPU profiles to build/bench/profiles`;

export function parseOptions(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string" },
      runtime: { type: "string", default: "node" },
      filter: { type: "string", default: "" },
      only: { type: "string" },
      without: { type: "string", default: "" },
      "in-flight": { type: "string" },
      seed: { type: "string" },
      "models-dir": { type: "string", default: ".cache/models" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      "cpu-prof": { type: "boolean", default: false },
    },
  });
  const [bench] = positionals;
  if (positionals.length !== 1 || !isBench(bench)) throw new Error("Cannot tell what to run");
  return {
    bench,
    rounds: positive("rounds", values.rounds),
    seconds: values.seconds === undefined ? undefined : positive("seconds", values.seconds),
    seed: values.seed === undefined ? Date.now() % 1_000_000 : positive("seed", values.seed),
    runtimes: runtimes(values.runtime),
    filter: values.filter
      .split(",")
      .map((text) => text.trim())
      .filter(Boolean),
    only: values.only?.split(","),
    without: values.without.split(",").filter(Boolean),
    inFlight: values["in-flight"]?.split(",").map((text) => positive("in-flight", text)),
    json: values.json,
    check: values.check,
    profile: values["cpu-prof"],
    modelsDir: values["models-dir"],
  };
}

function isBench(text: string | undefined): text is Bench {
  return text === "overhead" || text === "models" || text === "serve" || text === "idle";
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`Cannot use --${name}: expected a number above 0, got "${text}"`);
  return value;
}

function runtimes(text: string): Runtime[] {
  const all: Runtime[] = ["node", "bun", "deno"];
  if (text === "all") return all;
  return text.split(",").map((name) => {
    const found = all.find((runtime) => runtime === name);
    if (!found) throw new Error(`Cannot use --runtime: expected ${all.join(", ")} or all, got "${name}"`);
    return found;
  });
}
