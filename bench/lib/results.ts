/** The measured cells of all rounds, and the figures that are made of them. */

import type { Measured } from "./closed-loop.ts";
import type { Outcome } from "./run-child.ts";
import { familyId, rowId } from "./plan.ts";
import type { Row, Run } from "./plan.ts";
import { median, spread } from "./stats.ts";
import type { Spread } from "./stats.ts";

/** What of a cell can be compared. */
export type Figure = (cell: Measured) => number;

export const rate: Figure = (cell) => cell.requests_per_s;
/** How much longer than usual a slow request takes. */
export const unevenness: Figure = (cell) => (cell.p99_us ?? NaN) / (cell.p50_us ?? NaN);

export class Results {
  readonly rounds: number;
  readonly rows: readonly Row[];
  readonly #cells = new Map<string, (Measured | undefined)[]>();
  readonly #errors = new Map<string, string>();
  readonly #absent = new Map<string, string>();
  readonly #noisy = new Map<string, number>();

  constructor(runs: readonly Run[], rounds: number) {
    this.rounds = rounds;
    this.rows = runs.flatMap((run) => [...run.rows.values()]);
    for (const row of this.rows)
      this.#cells.set(
        rowId(row),
        Array.from({ length: rounds }, () => undefined),
      );
  }

  add(run: Run, round: number, outcome: Outcome, foreignLimit: number): void {
    const noisy = (outcome.foreignCores ?? 0) > foreignLimit;
    for (const [name, row] of run.rows) {
      const id = rowId(row);
      const cell = outcome.cells.find((each) => each.cell === name);
      if (noisy) this.#noisy.set(id, (this.#noisy.get(id) ?? 0) + 1);
      if (cell && cell.wrong === 0) this.#cells.get(id)![round] = cell;
      else if (cell) this.#errors.set(id, `${cell.wrong} wrong answers beside ${cell.requests} measured`);
      else this.#errors.set(id, outcome.error ?? "ended without a result");
    }
  }

  unavailable(run: Run, why: { unavailable: string; optional: boolean }): void {
    const kept = why.optional ? this.#absent : this.#errors;
    for (const row of run.rows.values()) kept.set(rowId(row), `not available: ${why.unavailable}`);
  }

  /** Why a row has no result, or not a right one. */
  error(row: Row): string | undefined {
    return this.#errors.get(rowId(row));
  }

  /** Why an optional row was not run. */
  absence(row: Row): string | undefined {
    return this.#absent.get(rowId(row));
  }

  /** Rounds in which others used the machine, also after the repeats. */
  noisyRounds(row: Row): number {
    return this.#noisy.get(rowId(row)) ?? 0;
  }

  get failed(): boolean {
    return this.#errors.size > 0;
  }

  /** Median and range over the rounds; undefined if the row has no result in any, or an error in one. */
  figure(row: Row, of: Figure): Spread | undefined {
    const values = this.#measured(row).flatMap((cell) => (cell ? [of(cell)] : []));
    return values.length === 0 ? undefined : spread(values);
  }

  /** Median and range of the quotients of the same rounds. */
  ratio(row: Row, to: Row, of: Figure): Spread | undefined {
    const other = this.#measured(to);
    const values = this.#measured(row).flatMap((cell, round) => {
      const against = other[round];
      return cell && against ? [of(cell) / of(against)] : [];
    });
    return values.length === 0 ? undefined : spread(values);
  }

  /** The figure that a row is best described by where a cell may lack it. */
  optional(row: Row, of: (cell: Measured) => number | null): number | null {
    const values = this.#measured(row).flatMap((cell) => {
      const value = cell && of(cell);
      return typeof value === "number" ? [value] : [];
    });
    return values.length === 0 ? null : median(values);
  }

  /** The row with the highest median of requests per second. */
  best(rows: readonly Row[]): Row | undefined {
    const rates = rows.map((row) => this.figure(row, rate)?.median ?? -1);
    const highest = Math.max(...rates);
    return highest < 0 ? undefined : rows[rates.indexOf(highest)];
  }

  /** Whether a row is the best setting of its contender. */
  isBest(row: Row): boolean {
    const family = this.rows.filter((other) => familyId(other) === familyId(row));
    return (this.best(family) ?? family[0]) === row;
  }

  /** The best rows, one for each contender, that `like` describes. */
  find(like: Partial<Row>): Row[] {
    const keys = Object.keys(like) as (keyof Row)[];
    return this.rows.filter((row) => keys.every((key) => row[key] === like[key]));
  }

  #measured(row: Row): readonly (Measured | undefined)[] {
    return this.#errors.has(rowId(row)) ? [] : this.#cells.get(rowId(row))!;
  }
}
