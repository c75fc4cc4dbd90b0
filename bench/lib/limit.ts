/** The limit of models and serve: a C loop over the same engine, and which loop a row is compared with. */

import type { Row } from "./plan.ts";
import type { Results } from "./results.ts";

export const LIMIT = "C loop";

/**
 * The best C loop that needs no more in flight than there are clients. The C loops themselves: the best of
 * all.
 */
export function baseline(row: Row, results: Results): Row | undefined {
  const loops = results.find({ contender: LIMIT, model: row.model! });
  const clients = row.contender === LIMIT ? Infinity : row.in_flight;
  return results.best(loops.filter((loop) => loop.in_flight <= clients));
}
