/**
 * How the bench and its child processes talk: the task as JSON in the last argument, each cell a JSON line
 * on stdout.
 */

import { writeSync } from "node:fs";
import type { Measured } from "./closed-loop.ts";

/** A measured cell, named as the plan named it. */
export interface Cell extends Measured {
  cell: string;
}

export function childSpec<T>(): T {
  const text = process.argv.at(-1);
  if (!text?.startsWith("{"))
    throw new Error("Cannot run on its own: the bench starts this file with its task");
  return JSON.parse(text) as T;
}

/** Written at once, so that nothing is lost when the process ends right after. */
export function report(cell: Cell): void {
  writeSync(1, `${JSON.stringify(cell)}\n`);
}
