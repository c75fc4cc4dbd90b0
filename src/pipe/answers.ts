/**
 * Where a caller's requests end: answers come out of slots, and each request settles once. Runs on the
 * caller's thread and belongs to it.
 */

import { ExecutionError, InvariantError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { Outcome, Phase, outcomeOf, phaseOf } from "../memory/slot.ts";
import { failureOf } from "./failure.ts";
import { unmarkInFlight } from "./in-flight.ts";
import type { CallerCounts, Request, SlotBooks } from "./requests.ts";
import type { ResultReader } from "./result.ts";
import type { PipeInput } from "./types.ts";

/** Settling for longer than this gives the event loop a turn before it goes on. */
const SETTLE_MS = 1;
/** Outputs copied between two readings of the clock: some tens of microseconds of copying. */
const CLOCK_BYTES = 256 * 1024;

export class Answers {
  readonly #channel: Channel;
  readonly #slots: SlotBooks;
  readonly #reader: ResultReader;
  readonly #counts: CallerCounts;
  readonly #nowMs: () => number;
  /** Rows between two readings of the clock: a power of two, less one. */
  readonly #clockMask: number;
  /** The slots of a request of one row, while its result is read. */
  readonly #oneSlot = new Int32Array(1);
  #abandoned = false;
  #idle: (() => void)[] = [];

  constructor(
    channel: Channel,
    slots: SlotBooks,
    reader: ResultReader,
    counts: CallerCounts,
    nowMs: () => number,
  ) {
    this.#channel = channel;
    this.#slots = slots;
    this.#reader = reader;
    this.#counts = counts;
    this.#nowMs = nowMs;
    this.#clockMask = reader.rowBytes * 8 > CLOCK_BYTES ? 0 : 7;
  }

  /** Rows still to come. */
  get rowsInFlight(): number {
    return this.#abandoned ? 0 : this.#slots.size - this.#slots.free;
  }

  /** Resolves when no row is in flight. */
  whenIdle(): Promise<void> {
    if (this.rowsInFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /**
   * Takes done bits from high slots to low, so that the lowest are used again first. Returns the rows found.
   */
  settle(): number {
    if (this.#abandoned) return 0;
    const channel = this.#channel;
    let found = 0;
    const untilMs = this.#nowMs() + SETTLE_MS;
    for (let word = (this.#slots.used - 1) >> 5; word >= 0; word--) {
      let bits = channel.takeDone(word);
      if (bits === 0) continue;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        this.#rowDone(word * 32 + bit);
        found++;
        if ((found & this.#clockMask) !== 0 || bits === 0 || this.#nowMs() <= untilMs) continue;
        channel.markDone(word, bits);
        return found;
      }
      if (this.#nowMs() > untilMs) break;
    }
    if (found > 0) this.#tellIdle();
    return found;
  }

  /**
   * Gives up the rows of a request that no instance has taken. The request is rejected with `error`, at once
   * if that was all of them, else when those that run are done.
   */
  withdraw(request: Request, error: Error): void {
    const slots = this.#slotsOf(request);
    for (let row = 0; row < slots.length; row++) {
      if (!this.#channel.cancel(slots[row])) continue;
      request.error ??= error;
      request.left--;
    }
    if (request.left > 0) return;
    this.#finish(request, slots);
    this.#tellIdle();
  }

  /** Rejects everything in flight: nobody will answer any more. The slots are not used again. */
  abandon(failure: () => Error): void {
    this.#abandoned = true;
    for (const request of this.#slots.abandonAll()) this.#fail(request, failure());
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.rowsInFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #rowDone(slot: number): void {
    const word = this.#channel.wordOf(slot);
    if (phaseOf(word) !== Phase.done) return;
    const request = this.#slots.owner(slot);
    if (request === undefined) throw new InvariantError(`slot ${slot} was answered, but nobody asked`);
    // At once, so that a done bit that is set a second time finds nothing to answer.
    this.#channel.recycle(slot, word);
    const outcome = outcomeOf(word);
    if (outcome !== Outcome.ok) request.error ??= failureOf(outcome, this.#channel.readText(slot));
    if (--request.left === 0) this.#finish(request, this.#slotsOf(request));
  }

  #slotsOf(request: Request): Int32Array {
    this.#oneSlot[0] = request.first;
    return request.slots ?? this.#oneSlot;
  }

  /** All rows are done or given up: the slots are free again, then the caller is told. */
  #finish(request: Request, slots: Int32Array): void {
    const result = request.error === null ? this.#readResult(request, slots) : undefined;
    // The last row first, so that the first slot is used again first.
    for (let row = request.rows - 1; row >= 0; row--) this.#reuse(slots[row]);
    if (result === undefined) return this.#fail(request, request.error!);
    this.#settled(request);
    if (request.answer(result)) this.#counts.succeeded++;
    else this.#counts.failed++;
  }

  #readResult(request: Request, slots: Int32Array): PipeInput["result"] {
    try {
      return this.#reader.read(slots);
    } catch (error) {
      request.error = error instanceof Error ? error : new ExecutionError(String(error));
      return undefined;
    }
  }

  #reuse(slot: number): void {
    this.#reader.drop(slot);
    this.#slots.giveBack(slot);
  }

  #settled(request: Request): void {
    unmarkInFlight(request.input);
    this.#counts.inFlight--;
  }

  #fail(request: Request, error: Error): void {
    this.#settled(request);
    this.#counts.failed++;
    request.reject(error);
  }
}
