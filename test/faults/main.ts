/**
 * `npm run -s faults -- [--runtime NAME] [--row ID]`, started by scripts/faults.mjs: runs the tests that the
 * catalogue names and tells of each row, in each runtime, whether they passed. Ends with 0 only if all did.
 */

import process from "node:process";
import { catalogue } from "./catalogue.ts";
import type { Row } from "./row.ts";
import { runNative, runSuite } from "./run.ts";
import type { Outcomes, State } from "./run.ts";

const RUNTIMES = ["node", "bun", "deno"] as const;

interface Options {
  runtimes: readonly string[];
  rows: readonly [string, Row][];
}

function readOptions(args: readonly string[]): Options {
  let runtimes: readonly string[] = RUNTIMES;
  let rows = Object.entries(catalogue);
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i], args[i + 1]];
    if (name === "--runtime" && RUNTIMES.some((one) => one === value)) runtimes = [value];
    else if (name === "--row" && Object.hasOwn(catalogue, value)) rows = [[value, catalogue[value]]];
    else {
      console.error(
        `Cannot use "${name} ${value ?? ""}": expected --runtime node|bun|deno, or --row with a row`,
      );
      process.exit(2);
    }
  }
  return { runtimes, rows };
}

/** What a row's proofs are by name. */
function proofsOf({ by, awaited = [] }: Row): readonly string[] {
  return [...by, ...awaited];
}

function worst(states: readonly State[]): State {
  const order: readonly State[] = ["failed", "missing", "skipped"];
  return order.find((state) => states.includes(state)) ?? (states.length === 0 ? "missing" : "passed");
}

async function main(args: readonly string[]): Promise<number> {
  const { runtimes, rows } = readOptions(args);
  const proofs = [...new Set(rows.flatMap(([, row]) => proofsOf(row)))];
  const native = await runNative(proofs);
  const suites = new Map<string, Outcomes>();
  for (const runtime of runtimes) suites.set(runtime, await runSuite(runtime, proofs));
  const count: Record<State, number> = { passed: 0, failed: 0, skipped: 0, missing: 0 };
  for (const [id, row] of rows) {
    const told = [...suites].map(([runtime, outcomes]) => tell(row, runtime, outcomes, native));
    console.log(`${id.padEnd(4)}${told.map(({ text }) => text).join("  ")}  ${row.fault}`);
    if (row.note !== undefined) console.log(`      (${row.note})`);
    for (const { text, bad } of told) for (const line of bad) console.log(`      ${text.trim()}: ${line}`);
    count[worst(told.map(({ state }) => state))]++;
  }
  const words = Object.entries(count).map(([state, rowsOf]) => `${rowsOf} ${state}`);
  console.log(`${rows.length} rows in ${runtimes.join(", ")}: ${words.join(", ")}`);
  return count.passed === rows.length ? 0 : 1;
}

/** One row in one runtime; `bad` are the proofs that did not pass. */
function tell(
  row: Row,
  runtime: string,
  outcomes: Outcomes,
  native: Outcomes,
): { text: string; state: State; bad: string[] } {
  const states = proofsOf(row).map(
    (proof) => [proof, outcomes.get(proof) ?? native.get(proof) ?? "missing"] as const,
  );
  const state = worst(states.map(([, one]) => one));
  const bad = states.flatMap(([proof, one]) => (one === "passed" ? [] : [`${one}: ${proof}`]));
  return { text: `${runtime} ${state}`.padEnd(12), state, bad };
}

process.exit(await main(process.argv.slice(2)));
