/**
 * A caller's own books: which request has which slots, and which slots are free. Private to the calling
 * thread.
 */

import { InputError, PipeClosedError, QueueFullError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { Phase, phaseOf } from "../memory/slot.ts";
import type { Watched } from "./give-up.ts";
import type { RefusalReason } from "./stats-types.ts";
import type { PipeInput } from "./types.ts";

export type Resolve = (input: never) => void;
export type Reject = (error: unknown) => void;

/** Requests of one caller: submitted = refused + succeeded + failed + inFlight. */
export interface CallerCounts {
  submitted: number;
  refused: number;
  /** Those of `refused`. */
  readonly refusals: Record<RefusalReason, number>;
  succeeded: number;
  failed: number;
  inFlight: number;
}

export function newCounts(): CallerCounts {
  const refusals = { input: 0, full: 0, closed: 0, aborted: 0 };
  return { submitted: 0, refused: 0, refusals, succeeded: 0, failed: 0, inFlight: 0 };
}

/** Counts a request that took no slot. What is none of our errors is a signal's reason. */
export function countRefusal(counts: CallerCounts, error: unknown): void {
  counts.refused++;
  if (error instanceof InputError) counts.refusals.input++;
  else if (error instanceof QueueFullError) counts.refusals.full++;
  else if (error instanceof PipeClosedError) counts.refusals.closed++;
  else counts.refusals.aborted++;
}

/**
 * A request in flight. `slots` is null when it has one row, whose slot is `first`.
 */
export class Request {
  readonly input: PipeInput;
  readonly rows: number;
  readonly slots: Int32Array | null;
  /** Slot of row 0. */
  first = -1;
  readonly resolve: Resolve;
  readonly reject: Reject;
  /** Rows that are not answered yet. */
  left: number;
  /** Those of them whose call hangs. */
  lost = 0;
  error: Error | null = null;
  /** The caller was told. Rows that still run only give their slots back. */
  settled = false;
  /** Its deadline and signal, while it is in flight; null if it has none. */
  watched: Watched | null = null;

  constructor(input: PipeInput, rows: number, resolve: Resolve, reject: Reject) {
    this.input = input;
    this.rows = rows;
    this.left = rows;
    this.slots = rows === 1 ? null : new Int32Array(rows);
    this.resolve = resolve;
    this.reject = reject;
  }

  /** Sets the input's result and resolves; false if the input does not take it, which is a rejection. */
  answer(result: NonNullable<PipeInput["result"]>): boolean {
    try {
      this.input.result = result;
    } catch (cause) {
      // Frozen meanwhile, or with a setter that throws: the caller's own doing, and nobody else's trouble.
      this.reject(new InputError("result", "a property that can be set", "one that cannot", { cause }));
      return false;
    }
    this.resolve(this.input as never);
    return true;
  }
}

/** Free slots, last in first out, so that few pages are ever touched; and who has the others. */
export class SlotBooks {
  readonly #requests: (Request | undefined)[];
  readonly #free: Int32Array;
  #freeCount: number;
  #used = 0;

  constructor(slots: number) {
    this.#requests = Array.from({ length: slots });
    this.#free = Int32Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.#freeCount = slots;
  }

  get size(): number {
    return this.#free.length;
  }

  get free(): number {
    return this.#freeCount;
  }

  /** Slots from this one on were never taken, so no done bit of theirs can be set. */
  get used(): number {
    return this.#used;
  }

  /**
   * Takes free slots that follow each other, for rows from `row` on, and returns how many; the first is
   * `first`.
   */
  takeRun(request: Request, row: number): { first: number; rows: number } {
    const first = this.#free[this.#freeCount - 1];
    let rows = 1;
    while (row + rows < request.rows && this.#free[this.#freeCount - 1 - rows] === first + rows) rows++;
    this.#freeCount -= rows;
    if (row === 0) request.first = first;
    for (let i = 0; i < rows; i++) {
      if (request.slots !== null) request.slots[row + i] = first + i;
      this.#requests[first + i] = request;
    }
    if (first + rows > this.#used) this.#used = first + rows;
    return { first, rows };
  }

  owner(slot: number): Request | undefined {
    return this.#requests[slot];
  }

  giveBack(slot: number): void {
    this.#requests[slot] = undefined;
    this.#free[this.#freeCount++] = slot;
  }

  /** Everything in flight, once each; none of it is known any more afterwards. */
  abandonAll(): Request[] {
    const requests = new Set(this.#requests);
    requests.delete(undefined);
    this.#requests.fill(undefined);
    return [...requests] as Request[];
  }
}

/** Rows that wait, and rows that an instance has, counted from the words of the first `used` slots. */
export function countRows(channel: Channel, used: number): { queued: number; running: number } {
  const now = { queued: 0, running: 0 };
  for (let slot = 0; slot < used; slot++) {
    const phase = phaseOf(channel.wordOf(slot));
    if (phase === Phase.queued) now.queued++;
    else if (phase === Phase.taken) now.running++;
  }
  return now;
}
