/** What an open pipe costs while nobody asks it anything. */

import type { Options } from "./lib/args.ts";
import { goal } from "./lib/goal.ts";
import type { Goal } from "./lib/goal.ts";
import type { Row, Run } from "./lib/plan.ts";
import type { Results } from "./lib/results.ts";
import { bundleCommand } from "./lib/run-child.ts";

export interface IdleSpec {
  /** Without a pipe it is the runtime's own idling that is measured. */
  pipe: "none" | "Identity" | "OnnxTensor";
  /** The tiny MLP. */
  model: string;
  seconds: number;
}

const BASELINE = "no pipe";
const KINDS = {
  [BASELINE]: "none",
  "trtpipe, Identity": "Identity",
  "trtpipe, OnnxTensor": "OnnxTensor",
} as const;

export const PACKAGES: readonly string[] = ["trtpipe", "onnxruntime-node", "koffi"];

export function plan(options: Options, model: string): Run[] {
  const seconds = options.seconds ?? 10;
  return options.runtimes.flatMap((runtime) =>
    (Object.keys(KINDS) as (keyof typeof KINDS)[]).map((contender): Run => {
      const row: Row = { bench: "idle", runtime, contender, in_flight: 0 };
      const spec: IdleSpec = { pipe: KINDS[contender], model, seconds };
      return {
        name: `${runtime}, ${contender}`,
        rows: new Map([["all", row]]),
        command: bundleCommand(runtime, "idle", spec, 60_000 + 3000 * seconds, options.profile),
        baseline: contender === BASELINE,
      };
    }),
  );
}

export function baseline(): undefined {
  return undefined;
}

/** Share of one core in %, of all threads of the process. */
function corePercent(row: Row, results: Results): number | undefined {
  const cores = results.optional(row, (cell) => cell.cpu_cores);
  return cores === null ? undefined : cores * 100;
}

export function lines(results: Results): string[] {
  return results.rows.map((row) => {
    const share = corePercent(row, results);
    return `  ${row.runtime}, ${row.contender}: ${results.error(row) ?? `${share?.toFixed(3)} % of a core`}`;
  });
}

export function goals(results: Results): Goal[] {
  return results.rows
    .filter((row) => row.contender !== BASELINE)
    .map((row) => {
      const text = `${row.runtime}, ${row.contender}: % of a core while idle`;
      return goal(text, corePercent(row, results), { below: 1 });
    });
}
