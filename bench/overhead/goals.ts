/** The goals that the overhead bench can tell. */

import { goal } from "../lib/goal.ts";
import type { Goal } from "../lib/goal.ts";
import type { Row } from "../lib/plan.ts";
import { rate } from "../lib/results.ts";
import type { Figure, Results } from "../lib/results.ts";

const LARGE = 602_112;

export function goals(results: Results): Goal[] {
  const node = (
    contender: string,
    threads: number,
    payload_bytes: number,
    in_flight: number,
  ): Row | undefined => results.find({ runtime: "node", contender, threads, payload_bytes, in_flight })[0];
  const quotient = (
    over: string,
    threads: number,
    payload: number,
    inFlight: number,
    of: Figure = rate,
  ): number | undefined => {
    const mine = node("trtpipe", threads, payload, inFlight);
    const other = node(over, threads, payload, inFlight);
    return mine && other && results.ratio(mine, other, of)?.median;
  };
  const againstPostMessage = [0, LARGE].flatMap((payload) =>
    [1, 10, 100, 1000].map((inFlight) =>
      goal(
        `1 thread, ${payload} bytes, ${inFlight} in flight: requests/s over postMessage's`,
        quotient("postMessage", 1, payload, inFlight),
        { atLeast: 1 },
      ),
    ),
  );
  const againstPiscina = [
    { inFlight: 10, atLeast: 5 },
    { inFlight: 1000, atLeast: 15 },
  ].map(({ inFlight, atLeast }) =>
    goal(
      `2 threads, 0 bytes, ${inFlight} in flight: requests/s over piscina's`,
      quotient("piscina", 2, 0, inFlight),
      { atLeast },
    ),
  );
  const lone = goal(
    "1 thread, 0 bytes: p50 of a lone round trip over piscina's",
    quotient("piscina", 1, 0, 1, (cell) => cell.p50_us ?? NaN),
    { atMost: 1 },
  );
  return [...againstPostMessage, ...againstPiscina, lone, ...otherRuntimes(results)];
}

/** The other runtimes, each by its worst cell. */
function otherRuntimes(results: Results): Goal[] {
  return (["bun", "deno"] as const).map((runtime) => {
    const cells = results.find({ runtime, contender: "trtpipe" }).flatMap((row) => {
      const inNode = results.find({ ...row, runtime: "node" })[0];
      const value = inNode && results.ratio(row, inNode, rate)?.median;
      const name = `${row.threads} threads, ${row.payload_bytes} bytes, ${row.in_flight} in flight`;
      return value === undefined ? [] : [{ value, name }];
    });
    const worst = cells.toSorted((a, b) => a.value - b.value)[0];
    return goal(
      `${runtime}: smallest of its requests/s over Node's`,
      worst?.value,
      { atLeast: 0.5 },
      worst?.name,
    );
  });
}
