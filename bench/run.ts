/** `npm run -s bench -- overhead | models | serve | idle`. See README.md beside this file. */

import { existsSync } from "node:fs";
import { ensureModel } from "../examples/models/index.ts";
import { parseOptions, USAGE } from "./lib/args.ts";
import type { Options } from "./lib/args.ts";
import { bundleChildren } from "./lib/bundle.ts";
import type { Goal } from "./lib/goal.ts";
import { machineLines } from "./lib/machine.ts";
import type { Run, Table } from "./lib/plan.ts";
import { goalLines, jsonLine, table } from "./lib/report.ts";
import type { Baseline } from "./lib/report.ts";
import type { Results } from "./lib/results.ts";
import { runRounds } from "./lib/rounds.ts";
import * as idle from "./idle.ts";
import * as models from "./models/plan.ts";
import { goals as modelsGoals } from "./models/goals.ts";
import { prepareModels } from "./models/prepare.ts";
import * as overhead from "./overhead/plan.ts";
import { goals as overheadGoals } from "./overhead/goals.ts";
import * as serve from "./serve/plan.ts";
import { goals as serveGoals } from "./serve/goals.ts";
import { prepareServe } from "./serve/prepare.ts";

/** A bench that is ready to run. */
interface Bench {
  runs: Run[];
  packages: readonly string[];
  /** More lines about what it runs with. */
  about: string[];
  baseline: Baseline;
  goals(results: Results): Goal[];
  text(results: Results): string[];
}

async function prepare(options: Options): Promise<Bench> {
  switch (options.bench) {
    case "overhead": {
      const { baseline, PACKAGES: packages, plan, tables } = overhead;
      const text = tablesText(tables, baseline);
      return { runs: plan(options), packages, about: [], baseline, goals: overheadGoals, text };
    }
    case "models": {
      const { baseline, PACKAGES: packages, plan, tables } = models;
      const { names, missing, about } = await prepareModels(options, progress);
      const text = tablesText(tables, baseline);
      return { runs: plan(options, names, missing), packages, about, baseline, goals: modelsGoals, text };
    }
    case "serve": {
      const { baseline, PACKAGES: packages, plan, tables } = serve;
      const { names, missing, about } = await prepareServe(options, progress);
      const text = tablesText(tables, baseline);
      return { runs: plan(options, names, missing), packages, about, baseline, goals: serveGoals, text };
    }
    case "idle": {
      const { baseline, PACKAGES: packages, plan, goals, lines: text } = idle;
      const model = await ensureModel("mlp", options.modelsDir);
      return { runs: plan(options, model), packages, about: [], baseline, goals, text };
    }
  }
}

function tablesText(tables: (results: Results) => Table[], baseline: Baseline): Bench["text"] {
  return (results) =>
    tables(results).flatMap(({ title, rows }) => [table(title, rows, results, baseline), ""]);
}

function isWanted(run: Run, { filter, only, without }: Options): boolean {
  const contenders = [...run.rows.values()].map((row) => row.contender);
  const named = (names: readonly string[]): boolean =>
    names.some((name) => contenders.some((contender) => contender.startsWith(name)));
  if (run.baseline)
    return (
      filter.length === 0 || !["models", "serve"].includes(options.bench) || run.name.startsWith(filter[0])
    );
  return filter.every((word) => run.name.includes(word)) && (!only || named(only)) && !named(without);
}

/** On a terminal one line that changes, else a line each. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text.slice(0, process.stderr.columns - 1)}`);
  else process.stderr.write(`${text}\n`);
}

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const options = readOptions();
const say = options.json ? console.error : console.log;
if (!existsSync("bench/run.ts"))
  throw new Error("Cannot run: expected to be started in the repository's root");
progress("bundling the child processes");
await bundleChildren();
const bench = await prepare(options);
const runs = bench.runs.filter((run) => isWanted(run, options));
const heading = [
  ...machineLines(options.runtimes, bench.packages),
  ...bench.about,
  `bench ${options.bench}: ${runs.length} runs x ${options.rounds} rounds, seed ${options.seed}`,
];
say(`${heading.join("\n")}\n`);
const results = await runRounds(runs, options.rounds, options.seed, progress);
if (process.stderr.isTTY) progress("");
if (options.json) for (const row of results.rows) console.log(jsonLine(row, results, bench.baseline));
else say(bench.text(results).join("\n"));
const goals = bench.goals(results);
say(`\ngoals\n${goalLines(goals).join("\n")}`);
const missed = options.check && goals.some((goal) => goal.value !== undefined && !goal.isMet);
process.exitCode = results.failed || missed ? 1 : 0;
