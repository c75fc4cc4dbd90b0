/**
 * Where a caller's requests end: answers come out of slots, and each request settles once. Runs on the
 * caller's thread and belongs to it.
 */

import { ExecutionError, InvariantError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { Outcome, Phase, outcomeOf, phaseOf } from "../memory/slot.ts";
import type { DeviceRows } from "./device-rows.ts";
import { failureOf, lostCall } from "./failure.ts";
import { GiveUps, timeoutOf } from "./give-up.ts";
import { unmarkInFlight } from "./in-flight.ts";
import type { CallerCounts, Request, SlotBooks } from "./requests.ts";
import { disposeResult } from "./result.ts";
import type { ResultReader } from "./result.ts";
import type { PipeInput } from "./types.ts";

/** Settling for longer than this gives the event loop a turn before it goes on. */
const SETTLE_MS = 1;
/** Rows that one look settles at most. */
const LOOK_ROWS = 32;
/** Outputs copied between two readings of the clock: some tens of microseconds of copying. */
const CLOCK_BYTES = 256 * 1024;

export interface AnswersOptions {
  channel: Channel;
  slots: SlotBooks;
  reader: ResultReader;
  deviceRows: DeviceRows | null;
  counts: CallerCounts;
  nowMs: () => number;
  /** Slots have become free. */
  onFree: () => void;
}

export class Answers {
  readonly #channel: Channel;
  readonly #slots: SlotBooks;
  readonly #reader: ResultReader;
  readonly #deviceRows: DeviceRows | null;
  readonly #counts: CallerCounts;
  readonly #nowMs: () => number;
  /** Rows between two readings of the clock: a power of two, less one. */
  readonly #clockMask: number;
  /** The slots of a request of one row, while its result is read. */
  readonly #oneSlot = new Int32Array(1);
  readonly #onFree: () => void;
  /** Deadlines and signals of what is in flight. */
  readonly giveUps: GiveUps;
  /** Word of done bits that the next look begins with. */
  #nextWord = 0;
  #abandoned = false;
  /** Slots that a hung call has, and the requests that were told so. */
  readonly #lost = new Set<number>();
  readonly #hung = new Set<Request>();
  #idle: (() => void)[] = [];

  constructor({ channel, slots, reader, deviceRows, counts, nowMs, onFree }: AnswersOptions) {
    this.#channel = channel;
    this.#slots = slots;
    this.#reader = reader;
    this.#deviceRows = deviceRows;
    this.#counts = counts;
    this.#nowMs = nowMs;
    this.#onFree = onFree;
    this.giveUps = new GiveUps(nowMs, (request, error) => this.giveUp(request, error));
    this.#clockMask = reader.rowBytes * 8 > CLOCK_BYTES ? 0 : 7;
  }

  /** Rows still to come. Nobody waits for those of a call that hangs. */
  get rowsInFlight(): number {
    return this.#abandoned ? 0 : this.#slots.size - this.#slots.free - this.quarantined;
  }

  /**
   * Slots of requests whose call hangs, as far as they are not to come otherwise: a request gives all of its
   * slots back at once, with the last one.
   */
  get quarantined(): number {
    // On the path of every request: an empty set is not walked through.
    if (this.#hung.size === 0) return 0;
    let slots = 0;
    for (const { rows, left, lost } of this.#hung) slots += rows - left + lost;
    return slots;
  }

  /** Resolves when no row is in flight. */
  whenIdle(): Promise<void> {
    if (this.rowsInFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /**
   * Takes done bits from high slots to low, so that the lowest are used again first, and goes on where the
   * last look stopped: slots that are used again and again must not keep others waiting. Returns the rows
   * found; there may be more, for the next look.
   */
  settle(): number {
    if (this.#abandoned) return 0;
    // Of the first that is found: who polls looks often, and finds nothing.
    let untilMs = 0;
    const words = (this.#slots.used + 31) >> 5;
    let found = 0;
    for (let looked = 0; looked < words; looked++) {
      const word = this.#nextWord < words ? this.#nextWord : words - 1;
      this.#nextWord = word === 0 ? words - 1 : word - 1;
      let bits = this.#channel.takeDone(word);
      if (bits === 0) continue;
      untilMs ||= this.#nowMs() + SETTLE_MS;
      while (bits !== 0 && !this.#hasEnough(found, untilMs)) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        this.#rowDone(word * 32 + bit);
        found++;
      }
      if (bits !== 0) {
        this.#channel.markDone(word, bits);
        this.#nextWord = word;
      }
      if (this.#hasEnough(found, untilMs)) break;
    }
    if (found > 0) this.#tellFree();
    return found;
  }

  /**
   * Whether a look has found enough: its callers are to go on, and so keep the instances busy, before the
   * rest is settled; and the event loop is to have its turns.
   */
  #hasEnough(found: number, untilMs: number): boolean {
    return found >= LOOK_ROWS || (found > 0 && (found & this.#clockMask) === 0 && this.#nowMs() > untilMs);
  }

  /**
   * Settles a request at once, with `error`: its caller no longer wants it. Rows that wait never run; the
   * slots of rows that run come back when their run ends.
   */
  giveUp(request: Request, error: unknown): void {
    if (request.settled) return;
    this.#cancelRows(request);
    this.#fail(request, error);
    if (request.left > 0) return;
    this.#free(request);
    this.#tellFree();
  }

  /** Rejects everything in flight: nobody will answer any more. The slots are not used again. */
  abandon(failure: () => Error): void {
    this.#abandoned = true;
    for (const request of this.#slots.abandonAll()) if (!request.settled) this.#fail(request, failure());
    this.#tellFree();
  }

  #tellFree(): void {
    if (this.#idle.length > 0 && this.rowsInFlight === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
    this.#onFree();
  }

  #rowDone(slot: number): void {
    const word = this.#channel.wordOf(slot);
    if (phaseOf(word) === Phase.lost) return this.#rowLost(slot);
    if (phaseOf(word) !== Phase.done) return;
    const request = this.#slots.owner(slot);
    if (request === undefined) throw new InvariantError(`slot ${slot} was answered, but nobody asked`);
    // At once, so that a done bit that is set a second time finds nothing to answer.
    this.#channel.recycle(slot, word);
    if (this.#lost.size > 0 && this.#lost.delete(slot)) request.lost--;
    request.left--;
    const outcome = outcomeOf(word);
    if (outcome !== Outcome.ok && request.error === null && !request.settled) {
      request.error = this.#failureOf(request, outcome, slot);
      // The request has failed: what waits of it need not run.
      if (request.left > 0) this.#cancelRows(request);
    }
    if (request.left === 0) this.#finish(request);
  }

  /**
   * The call that runs this row hangs. The request fails now; its slot stays taken until the call is back,
   * which is a second done bit, or for good.
   */
  #rowLost(slot: number): void {
    const request = this.#slots.owner(slot);
    if (request === undefined) throw new InvariantError(`slot ${slot} was lost, but nobody asked`);
    // Rows may be told twice.
    if (this.#lost.has(slot)) return;
    this.#lost.add(slot);
    request.lost++;
    this.#hung.add(request);
    if (request.settled) return;
    this.#cancelRows(request);
    this.#fail(request, lostCall());
  }

  #failureOf(request: Request, outcome: number, slot: number): Error {
    if (outcome === Outcome.timedOut) return timeoutOf(request, this.#nowMs());
    return failureOf(outcome, this.#channel.texts.read(slot));
  }

  #cancelRows(request: Request): void {
    for (const slot of this.#slotsOf(request)) if (this.#channel.cancel(slot)) request.left--;
  }

  #slotsOf(request: Request): Int32Array {
    this.#oneSlot[0] = request.first;
    return request.slots ?? this.#oneSlot;
  }

  /** All rows are done or given up: the slots are free again, then the caller is told. */
  #finish(request: Request): void {
    if (request.settled) return this.#free(request);
    const result = request.error === null ? this.#readResult(request) : undefined;
    this.#free(request);
    if (result === undefined) return this.#fail(request, request.error);
    this.#settled(request);
    if (request.answer(result)) {
      this.#counts.succeeded++;
      return;
    }
    this.#counts.failed++;
    disposeResult(result);
  }

  #readResult(request: Request): PipeInput["result"] {
    try {
      return this.#reader.read(this.#slotsOf(request));
    } catch (error) {
      request.error = error instanceof Error ? error : new ExecutionError(String(error));
      return undefined;
    }
  }

  /** The last row first, so that the first slot is used again first. */
  #free(request: Request): void {
    if (this.#hung.size > 0) this.#hung.delete(request);
    const slots = this.#slotsOf(request);
    for (let row = request.rows - 1; row >= 0; row--) {
      this.#reader.drop(slots[row]);
      this.#deviceRows?.drop(slots[row]);
      this.#slots.giveBack(slots[row]);
    }
  }

  #settled(request: Request): void {
    request.settled = true;
    if (request.watched !== null) this.giveUps.release(request);
    unmarkInFlight(request.input);
    this.#counts.inFlight--;
  }

  #fail(request: Request, error: unknown): void {
    this.#settled(request);
    this.#counts.failed++;
    request.reject(error);
  }
}
