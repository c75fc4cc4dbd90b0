/** When a caller's bell is rung although its turn goes on, and when it is announced that it will be. */

import type { Pool } from "../memory/pool.ts";
import type { ModelSpec } from "./spec.ts";

/** Published rows after which the bell is rung, although the turn goes on: instances need not idle. */
const RING_EVERY_MIN = 8;
/**
 * Input bytes that take about as long to copy as an instance takes to wake up. After so many the bell is rung
 * where an instance runs: the next batch is not to wait until the whole turn is copied.
 */
const RING_BYTES = 256 * 1024;
/** Above this, copying takes longer than anybody polls for it. */
const ANNOUNCE_BYTES_MAX = 1024 * 1024;

export class RingLimits {
  readonly #rows: number;
  /** Room for one row's inputs in bytes. */
  readonly #rowBytes: number;
  /** Whether instances poll for a moment before they sleep. */
  readonly polls: boolean;

  constructor({ maxRows, inputs }: ModelSpec, polls: boolean) {
    this.#rows = Math.max(RING_EVERY_MIN, maxRows);
    this.#rowBytes = inputs.reduce((sum, { strideBytes }) => sum + strideBytes, 0);
    this.polls = polls;
  }

  /**
   * Whether the bell is to be rung for so many rows before the turn ends. Where nobody runs, the first ring
   * sends a batch at once, and that is to have more than one row.
   */
  isRingDue(rows: number, pool: Pool): boolean {
    return rows >= this.#rows || (rows * this.#rowBytes >= RING_BYTES && pool.running() > 0);
  }

  /** Whether copying so many rows takes as long as an instance takes to wake up. */
  isAnnounced(rows: number): boolean {
    const bytes = rows * this.#rowBytes;
    return this.polls && bytes >= RING_BYTES && bytes <= ANNOUNCE_BYTES_MAX;
  }
}
