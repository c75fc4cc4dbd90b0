/** What the project means to reach, each a figure of the run at hand against a bound. */

export interface Goal {
  text: string;
  /** undefined if the run did not have what it takes to tell. */
  value: number | undefined;
  isMet: boolean;
  /** What the figure comes from, where that is not plain. */
  detail: string | undefined;
}

export type Bound = { atLeast: number } | { atMost: number } | { above: number } | { below: number };

export function goal(text: string, figure: number | undefined, bound: Bound, detail?: string): Goal {
  const value = Number.isFinite(figure) ? figure : undefined;
  const isMet = value !== undefined && holds(value, bound);
  return { text: `${text} ${boundText(bound)}`, value, isMet, detail };
}

function holds(value: number, bound: Bound): boolean {
  if ("atLeast" in bound) return value >= bound.atLeast;
  if ("atMost" in bound) return value <= bound.atMost;
  return "above" in bound ? value > bound.above : value < bound.below;
}

function boundText(bound: Bound): string {
  if ("atLeast" in bound) return `>= ${bound.atLeast}`;
  if ("atMost" in bound) return `<= ${bound.atMost}`;
  return "above" in bound ? `> ${bound.above}` : `< ${bound.below}`;
}
