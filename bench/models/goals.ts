/** The goals that the models bench can tell. */

import { goal } from "../lib/goal.ts";
import type { Goal } from "../lib/goal.ts";
import type { Row } from "../lib/plan.ts";
import { rate, unevenness } from "../lib/results.ts";
import type { Figure, Results } from "../lib/results.ts";
import type { ModelName } from "./data.ts";
import { LIMIT, NAMES } from "./plan.ts";
import { NAMED_LOOP } from "./settings.ts";

const PISCINA: readonly string[] = [NAMES.piscinaOne, NAMES.piscinaTwo];
const JAVASCRIPT: readonly string[] = [NAMES.direct, NAMES.batcher, ...PISCINA];
const resident: Figure = (cell) => cell.rss_mb;

export function goals(results: Results): Goal[] {
  const run = new Comparison(results);
  return [loopDelay(results), ...resnet18(run), ...otherModels(run), ...otherRuntimes(run)];
}

/** Finds rows and compares trtpipe's in Node with them. */
class Comparison {
  readonly results: Results;

  constructor(results: Results) {
    this.results = results;
  }

  /** The best row of these contenders. */
  best(contenders: readonly string[], model: ModelName, in_flight: number): Row | undefined {
    const rows = this.results.find({ model, in_flight }).filter((row) => contenders.includes(row.contender));
    return this.results.best(rows.filter((row) => ["node", "python"].includes(row.runtime)));
  }

  ours(model: ModelName, in_flight: number): Row | undefined {
    return this.best([NAMES.trtpipe], model, in_flight);
  }

  /** Quotient of trtpipe's figure and another row's. */
  quotient(model: ModelName, clients: number, other: Row | undefined, of: Figure = rate): number | undefined {
    const ours = this.ours(model, clients);
    return ours && other && this.results.ratio(ours, other, of)?.median;
  }

  /** The goal that trtpipe reaches a share of the best of these contenders. */
  share(
    model: ModelName,
    clients: number,
    words: string,
    contenders: readonly string[],
    atLeast: number,
  ): Goal {
    const other = this.best(contenders, model, clients);
    const text = `${model}, ${clients} clients: requests/s over ${words}`;
    return goal(text, this.quotient(model, clients, other), { atLeast }, describe(other));
  }
}

function describe(row: Row | undefined): string | undefined {
  return row && [row.contender, row.setting].filter(Boolean).join(", ");
}

function loopDelay(results: Results): Goal {
  const delays = results.find({ contender: NAMES.trtpipe, runtime: "node" }).flatMap((row) => {
    const value = results.optional(row, (cell) => cell.loop_delay_p99_ms);
    return value === null ? [] : [{ value, name: `${row.model}, ${row.in_flight} clients` }];
  });
  const worst = delays.toSorted((a, b) => b.value - a.value)[0];
  return goal(
    "trtpipe: largest p99 of the event loop's delay in ms",
    worst?.value,
    { below: 5 },
    worst?.name,
  );
}

function resnet18(run: Comparison): Goal[] {
  const { results } = run;
  const ours = run.ours("resnet18", 10);
  const omniback = run.best([NAMES.omniback], "resnet18", 10);
  const named = results.find({ model: "resnet18", contender: LIMIT, setting: NAMED_LOOP })[0];
  const title = "resnet18, 10 clients:";
  const rss = PISCINA.map((contender) => {
    const other = run.best([contender], "resnet18", 10);
    const value = run.quotient("resnet18", 10, other, resident);
    return goal(`${title} resident memory over that of ${contender}`, value, { atMost: 0.7 });
  });
  return [
    goal(`${title} requests/s over the C loop's ${NAMED_LOOP}`, run.quotient("resnet18", 10, named), {
      atLeast: 0.97,
    }),
    run.share("resnet18", 10, "the best of JavaScript", JAVASCRIPT, 0.97),
    goal(`${title} requests/s over omniback's`, run.quotient("resnet18", 10, omniback), { above: 1 }),
    goal(`${title} p99/p50`, ours && results.figure(ours, unevenness)?.median, { atMost: 2.2 }),
    goal(`${title} p99/p50 over omniback's`, run.quotient("resnet18", 10, omniback, unevenness), {
      atMost: 1,
    }),
    ...rss,
  ];
}

function otherModels(run: Comparison): Goal[] {
  return [
    run.share("wide", 10, "the main-thread batcher", [NAMES.batcher], 0.95),
    run.share("wide", 10, "the piscina batcher", PISCINA, 1.5),
    run.share("magika", 10, "the best of JavaScript", JAVASCRIPT, 0.97),
    run.share("magika", 100, "the best of JavaScript", JAVASCRIPT, 0.97),
    run.share("mlp", 10, "the piscina batcher", PISCINA, 2.5),
    run.share("mlp", 100, "onnxruntime-node", [NAMES.direct], 5),
  ];
}

function otherRuntimes(run: Comparison): Goal[] {
  const { results } = run;
  return (["bun", "deno"] as const).map((runtime) => {
    const row = results.find({ runtime, contender: NAMES.trtpipe, model: "resnet18", in_flight: 10 })[0];
    const node = run.ours("resnet18", 10);
    const value = row && node && results.ratio(row, node, rate)?.median;
    return goal(`resnet18, 10 clients: ${runtime}'s requests/s over Node's`, value, { atLeast: 0.95 });
  });
}
