/**
 * One thread's event loop under simulation. Promises and microtasks are the runtime's own; timers, immediates
 * and waitAsync are the simulation's, and whoever has nothing to do hands the baton on.
 */

import { setImmediate as realImmediate } from "node:timers";
import type { World } from "./world.ts";

export interface LoopTimer {
  ref(): LoopTimer;
  unref(): LoopTimer;
}

interface Timer extends LoopTimer {
  atMs: number;
  everyMs: number;
  callback: () => void;
}

export class Loop {
  readonly #world: World;
  #immediates: (() => void)[] = [];
  #timers = new Set<Timer>();
  #fired: (() => void) | null = null;
  #failure: { error: unknown } | null = null;
  /** Called when another thread has sent mail. */
  onMail: () => void = () => {};

  constructor(world: World) {
    this.#world = world;
  }

  /** Runs `body`, and with it everything that it has started, until it is settled. */
  async run(body: () => Promise<void>): Promise<void> {
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    body().then(end, (error: unknown) => {
      this.#failure ??= { error };
      end();
    });
    for (;;) {
      await Loop.settle();
      this.#world.check();
      if (this.#failure !== null) throw this.#failure.error;
      if (ended) return;
      this.#turn();
    }
  }

  /** Lets everything go on that was promised, as in every runtime before anything else. */
  static settle(): Promise<void> {
    return new Promise((resolve) => void realImmediate(resolve));
  }

  immediate(callback: () => void): void {
    this.#immediates.push(callback);
  }

  after(callback: () => void, ms: number, everyMs = 0): LoopTimer {
    const timer: Timer = {
      atMs: this.#world.nowMs + Math.max(ms, 0),
      everyMs,
      callback,
      ref: () => timer,
      unref: () => timer,
    };
    this.#timers.add(timer);
    return timer;
  }

  cancel(timer: LoopTimer): void {
    this.#timers.delete(timer as Timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(resolve, ms));
  }

  onFired(callback: () => void): void {
    this.#fired = callback;
  }

  /** Something was thrown where nobody catches it. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #turn(): void {
    const immediate = this.#immediates.shift();
    if (immediate !== undefined) return immediate();
    if (this.#world.threads.takeAsyncFired()) {
      const fired = this.#fired;
      this.#fired = null;
      return fired?.();
    }
    if (this.#world.threads.takeMail()) return this.onMail();
    const next = this.#nextTimer();
    if (next !== null && next.atMs <= this.#world.nowMs) return this.#ring(next);
    this.#world.block(next?.atMs ?? Infinity);
  }

  #nextTimer(): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) if (next === null || timer.atMs < next.atMs) next = timer;
    return next;
  }

  #ring(timer: Timer): void {
    if (timer.everyMs === 0) this.#timers.delete(timer);
    else timer.atMs = this.#world.nowMs + timer.everyMs;
    timer.callback();
  }
}
