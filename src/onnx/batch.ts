/** How the rows of a model are batched, as the C library decides it (model_info.c), told from its file. */

import type { ModelInfo, ValueInfo } from "./model-info.ts";

export type Batch = { kind: "dynamic" | "none" } | { kind: "fixed"; rows: number };

export function batchOf({ inputs, outputs }: Pick<ModelInfo, "inputs" | "outputs">): Batch {
  if (inputs.every((value) => hasOpenRows(value))) {
    const open = outputs.every((value) => value.dims === null || hasOpenRows(value));
    return { kind: open ? "dynamic" : "none" };
  }
  const rows = inputs[0]?.dims?.[0];
  if (typeof rows !== "number" || rows < 1) return { kind: "none" };
  const same = [...inputs, ...outputs].every(({ dims }) => dims?.[0] === rows);
  // A vector of several numbers is one item far more often than several rows of one number each.
  const vector = rows > 1 && inputs.some(({ dims }) => dims !== null && dims.length < 2);
  return same && !vector ? { kind: "fixed", rows } : { kind: "none" };
}

function hasOpenRows({ dims }: ValueInfo): boolean {
  const first = dims?.[0];
  return typeof first === "string" || (typeof first === "number" && first < 1);
}
