/**
 * What one thread asks of the pipes while a soak runs: right and wrong requests, aborts, timeouts, full
 * queues, failing rows. Every outcome is looked at. Plain JavaScript, which every runtime starts as a
 * Worker.
 */

import { Tensor } from "trtpipe";

const CLIENTS = 6;
/** Opcodes of the Fault backend: csrc/fault.h. */
const [SLEEP_MS, FAIL_BATCH, FAIL_ROW] = [1, 4, 5];
/** float32 holds integers up to 2^24 exactly: 2 x value + 1 stays below. */
const VALUES = 2 ** 22;

/** Numbers in [0, 1) that follow from the seed. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A signal that lives as long as its thread; counts the listeners that requests leave on it. */
function lastingSignal() {
  const { signal } = new AbortController();
  const count = { signal, listeners: 0 };
  const [add, remove] = ["addEventListener", "removeEventListener"].map((name) => signal[name].bind(signal));
  signal.addEventListener = (...args) => {
    count.listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args) => {
    count.listeners--;
    remove(...args);
  };
  return count;
}

export class Load {
  totals = { asked: 0, right: 0, failed: 0, wrong: 0, lost: 0 };
  lasting = lastingSignal();
  #pipes;
  #any;
  #sync;

  /** `sync`: this thread may block. */
  constructor(pipes, { seed, sync }) {
    this.#pipes = pipes;
    this.#any = random(seed);
    this.#sync = sync;
  }

  /** Asks for `ms`; resolves when everything has settled. */
  async run(ms) {
    const untilMs = performance.now() + ms;
    const client = async () => {
      while (performance.now() < untilMs) await this.#one();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  /** Rows of the thread's channels that are not free, and what else it has left behind. */
  left() {
    const taken = Object.values(this.#pipes).map((models) => {
      const { freeSlots, inFlight } = models.stats();
      return models.describe().maxQueue - freeSlots + inFlight;
    });
    return { slots: taken.reduce((sum, n) => sum + n, 0), listeners: this.lasting.listeners };
  }

  /**
   * Asks once and judges what comes: an answer that `right` accepts, or a failure with one of `codes`, or
   * with `reason`. No `right`: it must not be answered.
   */
  async ask(models, input, { right, codes = [], reason, options } = {}) {
    const { totals } = this;
    totals.asked++;
    try {
      const { result } = await models(input, options);
      if (right?.(result)) totals.right++;
      else this.#note("wrong", `an answer: ${String(result)}`);
    } catch (error) {
      if (codes.includes(error?.code) || (reason !== undefined && error === reason)) totals.failed++;
      else this.#note("lost", `${error?.name}: ${error?.message}`);
    }
  }

  #note(kind, what) {
    this.totals[kind]++;
    this.totals.error ??= what;
  }

  #below(n) {
    return Math.floor(this.#any() * n);
  }

  async #one() {
    const dice = this.#any();
    if (dice < 0.3) await this.#echo(this.#pipes.identity, (value) => value);
    else if (dice < 0.5) await this.#echo(this.#pipes.onnx, (value) => 2 * value + 1);
    else if (dice < 0.6) await this.#fault(0, 0, {});
    else if (dice < 0.66) await this.#fault(this.#any() < 0.5 ? FAIL_ROW : FAIL_BATCH, 0, { fails: true });
    else if (dice < 0.76) await this.#abort();
    else if (dice < 0.84) await this.#late();
    else if (dice < 0.88) await this.#invalid();
    else if (dice < 0.9) await this.#burst();
    else if (dice < 0.94) await this.#mortal();
    else if (dice < 0.98) await this.#process();
    else await this.#blocking();
  }

  /** One to nine rows of four; batches hold fewer. */
  async #echo(models, answer) {
    const rows = 1 + this.#below(9);
    const first = this.#below(VALUES - 64);
    const data = Float32Array.from({ length: rows * 4 }, (_, i) => first + i);
    const right = (result) =>
      result.shape[0] === rows && result.data.every((value, i) => value === answer(first + i));
    const options = this.#any() < 0.2 ? { signal: this.lasting.signal, timeout: 60_000 } : undefined;
    const shaped = this.#any() < 0.3 ? Tensor.from(data, { shape: [rows, 4] }) : data;
    await this.ask(models, { data: shaped }, { right, options });
  }

  /** One order to the Fault backend: opcode, argument, and a number to know the row by. */
  #order(opcode, argument) {
    const number = this.#below(VALUES);
    return {
      input: { data: Float32Array.of(opcode, argument, number) },
      right: (result) => result.data[2] === number,
    };
  }

  async #fault(opcode, argument, { fails = false }) {
    const { input, right } = this.#order(opcode, argument);
    await this.ask(this.#pipes.fault, input, fails ? { codes: ["TP_EXEC"] } : { right });
  }

  /** Given up before, at, or after its run; an answer that came first is right, too. */
  async #abort() {
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const { input, right } = this.#order(SLEEP_MS, this.#below(3));
    const when = this.#below(4);
    if (when === 0) controller.abort(reason);
    const options = { signal: controller.signal };
    const asked = this.ask(this.#pipes.fault, input, { right, reason, options });
    if (when === 1) queueMicrotask(() => controller.abort(reason));
    if (when === 2) setImmediate(() => controller.abort(reason));
    if (when === 3) setTimeout(() => controller.abort(reason), 1 + this.#below(4));
    await asked;
  }

  async #late() {
    const { input, right } = this.#order(SLEEP_MS, 1 + this.#below(4));
    const options = { timeout: 1 + this.#below(5) };
    await this.ask(this.#pipes.fault, input, { right, codes: ["TP_TIMEOUT"], options });
  }

  async #invalid() {
    const inputs = [{ data: new Float32Array(5) }, { data: new Float64Array(4) }, {}, { data: null }];
    await this.ask(this.#pipes.identity, inputs[this.#below(4)], { codes: ["TP_INPUT"] });
  }

  /** More than the narrow queue holds, in one turn. */
  async #burst() {
    const asked = Array.from({ length: 12 }, () => {
      const { input, right } = this.#order(0, 0);
      return this.ask(this.#pipes.narrow, input, { right, codes: ["TP_QUEUE_FULL"] });
    });
    await Promise.all(asked);
  }

  /** Its instances die now and then, by what the main thread asks. */
  async #mortal() {
    const value = 1 + this.#below(VALUES);
    const right = (result) => result.data[0] === value;
    await this.ask(this.#pipes.mortal, { data: Float32Array.of(value) }, { right, codes: ["TP_INSTANCE"] });
  }

  /** The same for child processes. */
  async #process() {
    const { input, right } = this.#order(0, 0);
    await this.ask(this.#pipes.process, input, { right, codes: ["TP_INSTANCE"] });
  }

  async #blocking() {
    const { input, right } = this.#order(0, 0);
    const models = this.#pipes.fault;
    const call = this.#sync ? async (one, options) => models.sync(one, options) : models;
    await this.ask(call, input, { right });
  }
}
