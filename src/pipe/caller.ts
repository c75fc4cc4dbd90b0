/**
 * One calling thread's side of a pipe: requests go into slots, answers come out of them. Everything here runs
 * on the caller's thread and belongs to it; what is shared lies behind `Channel` and `Pool`.
 */

import { setImmediate } from "node:timers";
import { InputError, PipeClosedError, QueueFullError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { Doorbell } from "../memory/park.ts";
import { Gate } from "../memory/pool.ts";
import type { Pool } from "../memory/pool.ts";
import { Spin } from "../memory/spin.ts";
import { Answers } from "./answers.ts";
import { NO_WISHES, readCallOptions } from "./call-options.ts";
import type { Wishes } from "./call-options.ts";
import { DeviceRows } from "./device-rows.ts";
import type { CallerOptions } from "./caller-options.ts";
import { inFlightOf, isInFlight, markInFlight } from "./in-flight.ts";
import { InputWriter } from "./input.ts";
import { clearScratch, newScratch, readRequest } from "./request.ts";
import { Request, SlotBooks, countRefusal, countRows, newCounts } from "./requests.ts";
import type { CallerCounts, Reject, Resolve } from "./requests.ts";
import { ResultReader } from "./result.ts";
import type { NativeResults } from "./result.ts";
import { RingLimits } from "./ring-limits.ts";
import { Room } from "./room.ts";
import { Rounds } from "./rounds.ts";
import type { ModelSpec } from "./spec.ts";
import { sweep } from "./sweep.ts";
import type { Answered, CallOptions, PipeInput } from "./types.ts";

export class Caller {
  readonly #pool: Pool;
  readonly #channel: Channel;
  readonly #spec: ModelSpec;
  readonly #results: NativeResults;
  readonly #nowMs: () => number;
  readonly #bell: Doorbell;
  readonly #writer: InputWriter;
  readonly #deviceRows: DeviceRows | null;
  readonly #answers: Answers;
  readonly #room: Room;
  readonly #scratch = newScratch();
  readonly #slots: SlotBooks;
  #unrung = 0;
  readonly #limits: RingLimits;
  #ringScheduled = false;
  /** null: it rings once a turn. */
  #rounds: Rounds | null = null;
  #resolve: Resolve = () => {};
  #reject: Reject = () => {};
  #failure: (() => Error) | null = null;
  #onRefused: () => void = () => {};

  readonly counts: CallerCounts = newCounts();

  constructor(options: CallerOptions) {
    this.#pool = options.pool;
    this.#channel = options.channel;
    this.#spec = options.spec;
    this.#results = options.results;
    this.#nowMs = options.nowMs;
    this.#slots = new SlotBooks(options.channel.shape.slots);
    this.#limits = new RingLimits(options.spec, options.spinUs > 0);
    this.#writer = new InputWriter(options.spec, options.channel, options.results);
    this.#deviceRows = DeviceRows.of(options.spec, options.channel, options.results);
    const reader = new ResultReader(options.spec, options.channel, options.results);
    const { channel, nowMs } = options;
    this.#room = new Room(channel.shape.slots, () => Math.min(this.#slots.free, channel.ringRoom));
    this.#answers = new Answers({
      channel,
      slots: this.#slots,
      reader,
      deviceRows: this.#deviceRows,
      counts: this.counts,
      nowMs,
      onFree: () => this.#room.look(),
    });
    this.#bell = new Doorbell(options.channel, new Spin(options.spinUs), options.nowMs, {
      look: () => this.#answers.settle(),
      inFlight: () => this.#answers.rowsInFlight,
      nearestMs: () => this.#answers.giveUps.nearestMs,
      check: () => this.#check(options.isOwnerAlive),
    });
  }

  get freeSlots(): number {
    return this.#slots.free;
  }

  /** Slots that a hung call may still write to: neither free nor waited for. */
  get quarantined(): number {
    return this.#answers.quarantined;
  }

  /** Rows that wait, and rows that an instance has, counted from the slot words. */
  rowsNow(): { queued: number; running: number } {
    return countRows(this.#channel, this.#slots.used);
  }

  /** Runs one request; see Pipe. Never throws: what is wrong becomes the rejection. */
  call<I extends PipeInput>(input: I, options?: CallOptions): Promise<Answered<I>> {
    const promise = new Promise<Answered<I>>(this.#keepResolvers);
    const reject = this.#reject;
    try {
      this.#submit(input, options, this.#resolve, reject);
    } catch (error) {
      reject(error);
      return promise;
    }
    if (!this.#ringScheduled) {
      this.#ringScheduled = true;
      if (this.#rounds !== null) setImmediate(this.#endOfRound);
      else queueMicrotask(this.#endOfTurn);
    }
    if (this.#limits.isRingDue(this.#unrung, this.#pool)) this.#ring();
    return promise;
  }

  /** From now on it rings once a round of the event loop, instead of once a turn. See Rounds. */
  ringPerRound(): void {
    this.#rounds = new Rounds();
  }

  /** Settles the request of an input, if it is in flight, with `error`: nobody wants its answer any more. */
  giveUp(input: PipeInput, error: unknown): void {
    const request = inFlightOf(input);
    if (request !== null) this.#answers.giveUp(request, error);
  }

  /** One executor for all promises: it runs before the constructor returns. */
  readonly #keepResolvers = (resolve: unknown, reject: Reject): void => {
    this.#resolve = resolve as Resolve;
    this.#reject = reject;
  };

  /** Runs one request and blocks the thread until it is answered, or its timeout passed. */
  sync<I extends PipeInput>(input: I, options?: CallOptions): Answered<I> {
    let settled = false;
    let failure: { error: unknown } | null = null;
    const resolve = () => {
      settled = true;
    };
    this.#submit(input, options, resolve as Resolve, (error) => {
      settled = true;
      failure = { error };
    });
    this.#ring();
    this.#bell.block(() => settled);
    // Other calls of this thread may have been answered meanwhile; they settle when it returns to its event
    // loop.
    this.#bell.arm();
    if (failure !== null) throw (failure as { error: unknown }).error;
    return input as Answered<I>;
  }

  /** Resolves when `rows` more rows can be queued. */
  room(rows: number): Promise<void> {
    return this.#failure === null ? this.#room.wait(rows) : Promise.reject(this.#failure());
  }

  /** Resolves when nothing of this caller is in flight. */
  whenIdle(): Promise<void> {
    return this.#answers.whenIdle();
  }

  /** Refuses new requests from now on, with the error that `failure` makes. */
  refuse(failure: () => Error): void {
    const isFirst = this.#failure === null;
    this.#failure ??= failure;
    this.#room.refuse(failure);
    if (isFirst) this.#onRefused();
  }

  /** Calls `tell`, and nobody else, when it begins to refuse. */
  whenRefused(tell: () => void): void {
    this.#onRefused = tell;
  }

  /** Rejects everything in flight: nobody will answer any more. The slots are not used again. */
  abandon(failure: () => Error): void {
    this.refuse(failure);
    // What was answered before is told as it is.
    while (this.#answers.settle() > 0);
    this.#answers.abandon(failure);
    this.dismiss();
  }

  /** Lets go of the event loop. */
  dismiss(): void {
    this.#bell.dismiss();
  }

  #submit(input: PipeInput, options: CallOptions | undefined, resolve: Resolve, reject: Reject): void {
    const enteredMs = this.#nowMs();
    let wishes = NO_WISHES;
    this.counts.submitted++;
    try {
      if (options !== undefined) wishes = readCallOptions(options);
      this.#admit(input);
    } catch (error) {
      countRefusal(this.counts, error);
      throw error;
    }
    const { rows } = this.#scratch;
    const request = new Request(input, rows, resolve, reject);
    markInFlight(input, request);
    this.counts.inFlight++;
    this.#announce(rows, enteredMs);
    for (let row = 0; row < rows;) row += this.#fill(request, row, enteredMs, wishes);
    clearScratch(this.#scratch);
    this.#unrung += rows;
    if (wishes !== NO_WISHES) this.#answers.giveUps.watch(request, wishes, enteredMs);
    // Instances that drain look at every ring, but only for rows that were published before the gate turned.
    // Whoever closed it may not have seen these.
    if (this.#pool.gate === Gate.open) return;
    this.#answers.giveUp(request, this.#failure?.() ?? new PipeClosedError());
  }

  /**
   * Fills and publishes as many free slots as follow each other, for rows from `row` on; returns how many.
   */
  #fill(request: Request, row: number, enteredMs: number, { timeoutMs, priority }: Wishes): number {
    const { first, rows } = this.#slots.takeRun(request, row);
    this.#writer.write(this.#scratch, row, first, rows);
    this.#deviceRows?.write(this.#scratch, row, first, rows);
    for (let slot = first; slot < first + rows; slot++) {
      this.#channel.schedule(slot, enteredMs, timeoutMs === 0 ? 0 : enteredMs + timeoutMs, priority);
      this.#channel.publish(slot);
    }
    return rows;
  }

  /** Everything that can refuse a request, before it takes a slot. Leaves what was read in the scratch. */
  #admit(input: PipeInput): void {
    readRequest(input, this.#spec, this.#scratch);
    // After reading: a getter of the input may have closed the pipe.
    if (this.#failure !== null) throw this.#failure();
    if (this.#pool.gate !== Gate.open) throw new PipeClosedError();
    if (isInFlight(input)) {
      throw new InputError("data", "an input that is not in flight", "the same object in two calls at once");
    }
    const { rows } = this.#scratch;
    if (rows > this.#slots.free || rows > this.#channel.ringRoom) {
      throw new QueueFullError(rows, this.#slots.free, this.#slots.size);
    }
    this.#deviceRows?.hold(this.#scratch);
  }

  /** Wakes an instance, where none runs, while rows are copied or more of them come. */
  #announce(rows: number, nowMs: number): void {
    const isDue =
      this.#rounds === null
        ? this.#unrung === 0 && this.#limits.isAnnounced(rows)
        : this.#limits.polls && this.#rounds.isWakeDue(this.#unrung, nowMs);
    if (isDue && this.#pool.running() === 0) this.#pool.announceRows();
  }

  /** The poll that follows finds what has come to other sockets meanwhile. */
  readonly #endOfRound = (): void => {
    if (this.#rounds!.isOver(this.#unrung)) this.#endOfTurn();
    else setImmediate(this.#endOfRound);
  };

  readonly #endOfTurn = (): void => {
    this.#ringScheduled = false;
    this.#ring();
    this.#bell.arm();
  };

  #ring(): void {
    if (this.#unrung === 0) return;
    this.#rounds?.rung(this.#unrung, this.#nowMs());
    this.#unrung = 0;
    this.#pool.ring(this.#channel.index);
  }

  /** Now and then: deadlines that passed, and whether anybody is left to answer. */
  #check(isOwnerAlive: () => boolean): void {
    this.#answers.giveUps.expire();
    // Slots of hung calls come back without anybody waiting for them.
    if (this.#answers.quarantined > 0) this.#answers.settle();
    this.#room.look();
    // Whoever waits for room is told too: nobody reads a ring any more that is full of rows given up.
    if (this.#answers.rowsInFlight === 0 && !this.#room.isAwaited) return;
    if (this.#pool.gate === Gate.shut) {
      if (this.#answers.settle() > 0) return;
      this.abandon(() => new PipeClosedError("Cannot go on: the pipe was shut before it answered"));
      sweep(this.#spec, this.#channel, this.#results);
    } else if (!isOwnerAlive()) {
      this.abandon(() => new PipeClosedError("Cannot go on: the thread that owns the pipe ended"));
    }
  }
}
