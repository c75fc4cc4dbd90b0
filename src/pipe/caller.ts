/**
 * One calling thread's side of a pipe: requests go into slots, answers come out of them. Everything here runs on the
 * caller's thread and belongs to it; what is shared lies behind `Channel` and `Pool`.
 */

import { ExecutionError, InputError, InvariantError, PipeClosedError, QueueFullError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { Doorbell } from "../memory/park.ts";
import { Gate } from "../memory/pool.ts";
import type { Pool } from "../memory/pool.ts";
import { Outcome, outcomeOf } from "../memory/slot.ts";
import { Spin } from "../memory/spin.ts";
import { failureOf } from "./failure.ts";
import { isInFlight, markInFlight, unmarkInFlight } from "./in-flight.ts";
import { InputWriter } from "./input.ts";
import { clearScratch, newScratch, readRequest } from "./request.ts";
import { ResultReader } from "./result.ts";
import type { NativeResults } from "./result.ts";
import type { ModelSpec } from "./spec.ts";
import type { Answered, PipeInput } from "./types.ts";

/** Settling for longer than this gives the event loop a turn before it goes on. */
const SETTLE_MS = 1;
/** Published rows after which the bell is rung at least, although the turn goes on: instances need not idle meanwhile. */
const RING_EVERY_MIN = 8;

type Resolve = (input: never) => void;

/** A request in flight. Its rows are the slots `slots[0..rows)`; `slot` alone when there is one. */
class Request {
  readonly input: PipeInput;
  readonly rows: number;
  readonly slots: Int32Array | null;
  readonly resolve: Resolve;
  readonly reject: (error: unknown) => void;
  left: number;
  error: Error | null = null;

  constructor(
    input: PipeInput,
    rows: number,
    slots: Int32Array | null,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ) {
    this.input = input;
    this.rows = rows;
    this.left = rows;
    this.slots = slots;
    this.resolve = resolve;
    this.reject = reject;
  }
}

export interface CallerOptions {
  pool: Pool;
  channel: Channel;
  spec: ModelSpec;
  results: NativeResults;
  spinUs: number;
  nowMs: () => number;
}

export class Caller {
  readonly #pool: Pool;
  readonly #channel: Channel;
  readonly #spec: ModelSpec;
  readonly #nowMs: () => number;
  readonly #bell: Doorbell;
  readonly #writer: InputWriter;
  readonly #reader: ResultReader;
  readonly #scratch = newScratch();
  readonly #requests: (Request | undefined)[];
  /** Slots that nobody uses, the next one on top: last in, first out, so that few pages are ever touched. */
  readonly #free: Int32Array;
  #freeCount: number;
  #unrung = 0;
  #ringScheduled = false;
  /** Slots from this one on were never used, so no done bit of theirs can be set. */
  #slotsUsed = 0;
  /** The slots of a request of one row, while its result is read. */
  readonly #oneSlot = new Int32Array(1);
  readonly #ringEvery: number;
  #requestsInFlight = 0;
  #resolve: Resolve = () => {};
  #reject: (error: unknown) => void = () => {};
  #failure: (() => Error) | null = null;
  #idle: (() => void)[] = [];

  readonly counts = { submitted: 0, refused: 0, succeeded: 0, failed: 0 };

  constructor(options: CallerOptions) {
    this.#pool = options.pool;
    this.#channel = options.channel;
    this.#spec = options.spec;
    this.#nowMs = options.nowMs;
    const { slots } = options.channel.shape;
    this.#requests = Array.from({ length: slots });
    this.#free = Int32Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.#freeCount = slots;
    this.#ringEvery = Math.max(RING_EVERY_MIN, options.spec.maxRows);
    this.#writer = new InputWriter(options.spec, options.channel);
    this.#reader = new ResultReader(options.spec, options.channel, options.results);
    this.#bell = new Doorbell(options.channel, new Spin(options.spinUs), options.nowMs, {
      look: () => this.#settle(),
      inFlight: () => this.#inFlight,
    });
  }

  get freeSlots(): number {
    return this.#freeCount;
  }

  get requestsInFlight(): number {
    return this.#requestsInFlight;
  }

  get #inFlight(): number {
    return this.#free.length - this.#freeCount;
  }

  /** Runs one request; see Pipe. Never throws: what is wrong becomes the rejection. */
  call<I extends PipeInput>(input: I): Promise<Answered<I>> {
    const promise = new Promise<Answered<I>>(this.#keepResolvers);
    const reject = this.#reject;
    try {
      this.#submit(input, this.#resolve, reject);
    } catch (error) {
      reject(error);
      return promise;
    }
    if (!this.#ringScheduled) {
      this.#ringScheduled = true;
      queueMicrotask(this.#endOfTurn);
    }
    if (this.#unrung >= this.#ringEvery) this.#ring();
    return promise;
  }

  /** One executor for all promises: it runs before the constructor returns. */
  readonly #keepResolvers = (resolve: unknown, reject: (error: unknown) => void): void => {
    this.#resolve = resolve as Resolve;
    this.#reject = reject;
  };

  /** Runs one request and blocks the thread until it is answered. */
  sync<I extends PipeInput>(input: I): Answered<I> {
    let settled = false;
    let failure: { error: unknown } | null = null;
    const resolve = () => {
      settled = true;
    };
    this.#submit(input, resolve as Resolve, (error) => {
      settled = true;
      failure = { error };
    });
    this.#ring();
    this.#bell.block(() => settled);
    // Other calls of this thread may have been answered meanwhile; they settle when it returns to its event loop.
    this.#bell.arm();
    if (failure !== null) throw (failure as { error: unknown }).error;
    return input as Answered<I>;
  }

  /** Resolves when nothing of this caller is in flight. */
  whenIdle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Refuses new requests from now on, with the error that `failure` makes. */
  refuse(failure: () => Error): void {
    this.#failure ??= failure;
  }

  /** Rejects everything in flight: nobody will answer any more. The slots are not used again. */
  abandon(failure: () => Error): void {
    this.refuse(failure);
    for (const request of new Set(this.#requests)) if (request) this.#fail(request, failure());
    this.#requests.fill(undefined);
    this.dismiss();
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Lets go of the event loop. */
  dismiss(): void {
    this.#bell.dismiss();
  }

  #submit(input: PipeInput, resolve: Resolve, reject: (error: unknown) => void): void {
    const enteredMs = this.#nowMs();
    this.counts.submitted++;
    try {
      this.#admit(input);
    } catch (error) {
      this.counts.refused++;
      throw error;
    }
    const { rows } = this.#scratch;
    const slots = rows === 1 ? null : new Int32Array(rows);
    const request = new Request(input, rows, slots, resolve, reject);
    markInFlight(input);
    this.#requestsInFlight++;
    for (let row = 0; row < rows;) row += this.#fill(request, row, enteredMs);
    clearScratch(this.#scratch);
    this.#unrung += rows;
  }

  /** Fills and publishes as many free slots as follow each other, for rows from `row` on; returns how many. */
  #fill(request: Request, row: number, enteredMs: number): number {
    const slot = this.#free[this.#freeCount - 1];
    let rows = 1;
    while (row + rows < request.rows && this.#free[this.#freeCount - 1 - rows] === slot + rows) rows++;
    this.#freeCount -= rows;
    this.#writer.write(this.#scratch, row, slot, rows);
    for (let i = 0; i < rows; i++) {
      if (request.slots !== null) request.slots[row + i] = slot + i;
      this.#requests[slot + i] = request;
      this.#channel.entered[slot + i] = enteredMs;
      this.#channel.publish(slot + i);
    }
    if (slot + rows > this.#slotsUsed) this.#slotsUsed = slot + rows;
    return rows;
  }

  /** Everything that can refuse a request, before it takes a slot. Leaves what was read in the scratch. */
  #admit(input: PipeInput): void {
    if (this.#failure !== null) throw this.#failure();
    if (this.#pool.gate !== Gate.open) throw new PipeClosedError();
    readRequest(input, this.#spec, this.#scratch);
    if (isInFlight(input)) {
      throw new InputError("data", "an input that is not in flight", "the same object in two calls at once");
    }
    const { rows } = this.#scratch;
    if (rows > this.#freeCount || rows > this.#channel.ringRoom) {
      throw new QueueFullError(rows, this.#freeCount, this.#free.length);
    }
  }

  readonly #endOfTurn = (): void => {
    this.#ringScheduled = false;
    this.#ring();
    this.#bell.arm();
  };

  #ring(): void {
    if (this.#unrung === 0) return;
    this.#unrung = 0;
    this.#pool.ring(this.#channel.index);
  }

  /** Takes done bits from high slots to low, so that the lowest are used again first. Returns the rows found. */
  #settle(): number {
    const channel = this.#channel;
    let found = 0;
    let untilMs = 0;
    for (let word = (this.#slotsUsed - 1) >> 5; word >= 0; word--) {
      let bits = channel.takeDone(word);
      if (bits === 0) continue;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        this.#rowDone(word * 32 + bit);
        found++;
      }
      if (untilMs === 0) untilMs = this.#nowMs() + SETTLE_MS;
      else if (this.#nowMs() > untilMs) break;
    }
    if (found > 0 && this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return found;
  }

  #rowDone(slot: number): void {
    const request = this.#requests[slot];
    if (request === undefined) throw new InvariantError(`slot ${slot} was answered, but nobody asked`);
    const outcome = outcomeOf(this.#channel.wordOf(slot));
    if (outcome !== Outcome.ok) request.error ??= failureOf(outcome, this.#channel.readText(slot));
    if (--request.left > 0) return;
    let result: PipeInput["result"];
    if (request.error === null) {
      this.#oneSlot[0] = slot;
      result = this.#readResult(request, request.slots ?? this.#oneSlot);
    }
    if (request.slots === null) this.#reuse(slot);
    else for (let row = request.rows - 1; row >= 0; row--) this.#reuse(request.slots[row]);
    if (result === undefined) return this.#fail(request, request.error!);
    this.#settled(request);
    request.input.result = result;
    this.counts.succeeded++;
    request.resolve(request.input as never);
  }

  #readResult(request: Request, slots: ArrayLike<number>): PipeInput["result"] {
    try {
      return this.#reader.read(slots);
    } catch (error) {
      request.error = error instanceof Error ? error : new ExecutionError(String(error));
      return undefined;
    }
  }

  #reuse(slot: number): void {
    this.#requests[slot] = undefined;
    this.#reader.drop(slot);
    this.#channel.recycle(slot, this.#channel.wordOf(slot));
    this.#free[this.#freeCount++] = slot;
  }

  #settled(request: Request): void {
    unmarkInFlight(request.input);
    this.#requestsInFlight--;
  }

  #fail(request: Request, error: Error): void {
    this.#settled(request);
    this.counts.failed++;
    request.reject(error);
  }
}
