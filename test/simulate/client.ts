/** A calling thread's requests, and what each may end with. */

import {
  ExecutionError,
  InstanceLostError,
  PipeClosedError,
  QueueFullError,
  TimeoutError,
  TrtPipeError,
} from "../../src/errors.ts";
import { Gate } from "../../src/memory/pool.ts";
import { Outcome } from "../../src/memory/slot.ts";
import type { CallerCounts } from "../../src/pipe/requests.ts";
import { Tensor } from "../../src/pipe/tensor.ts";
import type { CallOptions, PipeInput, Priority } from "../../src/pipe/types.ts";
import { Row } from "./books.ts";
import type { Books } from "./books.ts";
import { INTERRUPTED, POISON } from "./instance.ts";
import type { Loop } from "./loop.ts";
import { ROW_ELEMENTS } from "./plan.ts";
import type { Stage } from "./stage.ts";
import type { World } from "./world.ts";

/** How requests are made on this thread. */
export interface Calls {
  call(input: PipeInput, options?: CallOptions): Promise<unknown>;
  room(rows: number): Promise<void>;
  /** Null where the thread may not block. */
  sync: ((input: PipeInput, options?: CallOptions) => unknown) | null;
}

interface Asked {
  rows: readonly number[];
  input: PipeInput;
  options: CallOptions;
  enteredMs: number;
}

/** A wait that takes so long was ended by Doorbell's heartbeat. */
const HEARTBEAT_MS = 240;
/** The reason with which requests are aborted. */
const ABORTED = new Error("aborted");

export class Client {
  readonly #world: World;
  readonly #loop: Loop;
  readonly #stage: Stage;
  readonly #books: Books;
  #closed = false;

  constructor(world: World, loop: Loop, stage: Stage, books: Books) {
    this.#world = world;
    this.#loop = loop;
    this.#stage = stage;
    this.#books = books;
  }

  /** All requests of the plan; ends when all are settled. */
  async play(asking: Calls): Promise<void> {
    const { plan } = this.#stage;
    const { random } = this.#world;
    const calls: Promise<void>[] = [];
    for (let left = plan.requests; left > 0 && !this.#closed;) {
      const burst = Math.min(left, random.oneIn(3) ? random.between(1, 6) : 1);
      left -= burst;
      if (asking.sync !== null && random.oneIn(3)) this.#blocking(asking.sync);
      else for (let i = 0; i < burst; i++) calls.push(this.#calling(asking));
      if (random.oneIn(2)) await Promise.all(calls);
      if (random.oneIn(2)) await this.#loop.sleep(random.fraction() * plan.thinkMs);
    }
    await Promise.all(calls);
  }

  async #calling({ call, room }: Calls): Promise<void> {
    const asked = this.#request();
    try {
      if (this.#world.random.oneIn(4)) await this.#waitForRoom(room(asked.rows.length));
      asked.enteredMs = this.#world.clockMs;
      const { options } = asked;
      await call(asked.input, this.#mayAbort(options) ?? options);
    } catch (error) {
      return this.#failed(asked, error);
    }
    this.#succeeded(asked);
  }

  /**
   * Room comes with the answers, and not with the heartbeat that looks for it too. Unless the pipe closes:
   * then those who were told first do not take it.
   */
  async #waitForRoom(room: Promise<void>): Promise<void> {
    const { plan, nowMs } = this.#world;
    await room;
    const { instanceDeaths, freezeOneIn, lateOneIn } = plan.faults;
    const isQuick =
      plan.runMs < 1 &&
      plan.stepMs < 0.05 &&
      instanceDeaths + freezeOneIn + lateOneIn + plan.runTimeoutMs === 0;
    if (this.#stage.pool.words[this.#stage.pool.layout.gate] !== Gate.open) return;
    if (isQuick && this.#world.nowMs - nowMs > HEARTBEAT_MS) this.#world.fail("room was there and not told");
  }

  /** What a caller's counters say when all of its requests are settled. */
  checkEnd(counts: CallerCounts, freeSlots: number, quarantinedSlots: number): void {
    const { submitted, refused, refusals, succeeded, failed, inFlight } = counts;
    const reasons = Object.values(refusals).reduce((sum, count) => sum + count, 0);
    if (inFlight !== 0 || submitted !== refused + succeeded + failed || refused !== reasons) {
      this.#world.fail(`a caller that leaves counts ${JSON.stringify(counts)}`);
    }
    const slots = freeSlots + quarantinedSlots;
    const isWhole = this.#books.hopeless || slots === this.#stage.plan.shape.slots;
    if (!isWhole) this.#world.fail(`a caller that leaves has ${slots} free slots`);
  }

  #blocking(sync: NonNullable<Calls["sync"]>): void {
    const asked = this.#request();
    try {
      sync(asked.input, asked.options);
    } catch (error) {
      return this.#failed(asked, error);
    }
    this.#succeeded(asked);
  }

  /** Options with a signal that is aborted sooner or later. */
  #mayAbort(options: CallOptions): CallOptions | null {
    const { random, plan } = this.#world;
    if (!random.oneIn(plan.faults.abortOneIn)) return null;
    const aborter = new AbortController();
    this.#loop.after(() => aborter.abort(ABORTED), random.fraction() * plan.patienceMs);
    return Object.assign(options, { signal: aborter.signal });
  }

  #request(): Asked {
    const { plan } = this.#stage;
    const { random } = this.#world;
    const shape = random.below(plan.shapes);
    const count = random.between(1, Math.min(plan.rowsMax, plan.shape.slots));
    const { rows, data, elements } = makeRows(this.#world, this.#books, this.#stage, count, shape);
    const options: CallOptions = {};
    if (random.oneIn(plan.faults.timeoutOneIn)) options.timeout = random.fraction() * plan.patienceMs + 0.001;
    if (plan.priorities) options.priority = random.pick<Priority>(["high", "normal", "low"]);
    const input = { data: Tensor.from(data, { shape: [count, elements] }) };
    return { rows, input, options, enteredMs: this.#world.clockMs };
  }

  #succeeded({ rows, input }: Asked): void {
    const { state, verdict, shape } = this.#books;
    const { data } = input.result as Tensor<"int32">;
    for (const [i, row] of rows.entries()) {
      const at = i * ROW_ELEMENTS;
      if (data[at] !== row || data[at + 1] !== ~row || data[at + 2] !== shape[row]) {
        this.#world.fail(`row ${row} got the answer [${Array.from(data.subarray(at, at + ROW_ELEMENTS))}]`);
      }
      if (state[row] !== Row.answered || verdict[row] !== Outcome.ok) {
        this.#world.fail(`row ${row} succeeded in state ${state[row]} with outcome ${verdict[row]}`);
      }
    }
  }

  #failed(asked: Asked, error: unknown): void {
    // What the code makes of a thread's own death is no answer.
    this.#world.check();
    if (error instanceof PipeClosedError) this.#closed = true;
    const wrong = this.#whyNot(asked, error);
    if (wrong === null) return;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#world.fail(`rows ${asked.rows.join(" ")} ended with "${text}", but ${wrong}`);
  }

  /** What speaks against this end of a request, or null. */
  #whyNot({ rows, options, enteredMs }: Asked, error: unknown): string | null {
    const { state, verdict, hopeless } = this.#books;
    const states = rows.map((row) => state[row]);
    const isUnborn = states.every((it) => it === Row.unborn);
    if (error instanceof QueueFullError) {
      // A ring is full only of rows that were given up.
      const isFull = error.rows > error.free || this.#books.gaveUp;
      return isFull && isUnborn ? null : "there was room for them";
    }
    if (error instanceof PipeClosedError) {
      // Who comes too late is told so at once; only a pipe that gave up tells those that were admitted.
      return hopeless || isUnborn || !error.message.startsWith("Cannot go on") ? null : "it was accepted";
    }
    if (error === ABORTED) return options.signal?.aborted ? null : "nobody aborted it";
    if (error instanceof TimeoutError) {
      const isOver = options.timeout !== undefined && enteredMs + options.timeout <= this.#world.nowMs;
      return isOver ? null : `its timeout is ${options.timeout} ms`;
    }
    if (!(error instanceof TrtPipeError)) return "that is no error of ours";
    const outcomes = rows.map((row) => verdict[row]);
    // Who is told that its call hangs does not wait for its other rows.
    const isHung = error instanceof InstanceLostError && outcomes.includes(Outcome.callLost);
    if (isHung) return null;
    if (!states.every((it) => it >= Row.answered)) return "some were not answered";
    if (error instanceof InstanceLostError) {
      const isLost = outcomes.includes(Outcome.instanceLost) || outcomes.includes(INTERRUPTED);
      return isLost ? null : "no instance was lost";
    }
    const isFailed = outcomes.some((it) => it !== Outcome.ok && it !== Outcome.instanceLost);
    return isFailed || !(error instanceof ExecutionError) ? null : "the engine failed none of them";
  }
}

/** New rows of one request: their numbers, and their bytes. */
export function makeRows(
  world: World,
  books: Books,
  stage: Stage,
  count: number,
  shape: number,
): { rows: number[]; data: Int32Array; elements: number } {
  const { plan } = stage;
  const elements = plan.shapes === 1 ? ROW_ELEMENTS : ROW_ELEMENTS + shape;
  const rows = Array.from({ length: count }, () => books.newRow(shape));
  const data = new Int32Array(count * elements);
  for (const [i, row] of rows.entries()) {
    data[i * elements] = row;
    data[i * elements + 1] = world.random.oneIn(plan.faults.poisonOneIn) ? POISON : 0;
    data[i * elements + 2] = world.me;
  }
  return { rows, data, elements };
}
