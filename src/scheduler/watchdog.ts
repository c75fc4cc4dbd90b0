/**
 * Looks for native calls that take longer than run_timeout. Such a call is asked to end early, once; if it
 * has not returned INTERRUPT_MS later, its instance is given up together with its thread.
 *
 * Runs on the thread that owns the pipe, with one timer for the nearest moment at which something may be
 * due. While nothing runs there is none: the next instance that begins a call sees that, and says so.
 */

import { atomics } from "../memory/atomics.ts";
import { callOf, giveUpCall } from "../memory/calls.ts";
import type { Pool } from "../memory/pool.ts";

/** How long a call that was asked to end early has for it. */
export const INTERRUPT_MS = 500;

export interface WatchdogEvents {
  /** Asks this run of the instance to end, and no other. */
  interrupt(instance: number, run: number): void;
  /** The call did not come back: the instance is no longer its thread's. */
  onLost(instance: number, ranMs: number): void;
}

interface Asked {
  word: number;
  untilMs: number;
}

export class Watchdog {
  readonly #pool: Pool;
  readonly #runTimeoutMs: number;
  readonly #nowMs: () => number;
  readonly #events: WatchdogEvents;
  /** By instance: the last call that was asked to end. */
  readonly #asked: (Asked | undefined)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `runTimeoutMs` 0: calls may take as long as they like. `nowMs` is the common clock. */
  constructor(pool: Pool, runTimeoutMs: number, nowMs: () => number, events: WatchdogEvents) {
    this.#pool = pool;
    this.#runTimeoutMs = runTimeoutMs;
    this.#nowMs = nowMs;
    this.#events = events;
  }

  /** Looks now, and from then on whenever something may be due, until `stop`. */
  readonly look = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stopped || this.#runTimeoutMs === 0) return;
    let dueMs = this.#lookAtAll();
    if (dueMs === Infinity) {
      this.#sayUnwatched(1);
      // Once more after saying so: whoever began a call just before may not have seen it.
      dueMs = this.#lookAtAll();
      if (dueMs === Infinity) return;
      this.#sayUnwatched(0);
    }
    // A call that begins from here on may be due before one that was asked to end.
    const waitMs = Math.min(dueMs - this.#nowMs(), this.#runTimeoutMs);
    this.#timer = setTimeout(this.look, Math.max(1, Math.ceil(waitMs)));
    // What keeps the process is the request, not its bound.
    this.#timer.unref();
  };

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #sayUnwatched(unwatched: number): void {
    atomics.store(this.#pool.words, this.#pool.layout.unwatched, unwatched);
  }

  /** When there is something to do at the earliest; Infinity if nothing runs. */
  #lookAtAll(): number {
    let dueMs = Infinity;
    for (let i = 0; i < this.#pool.shape.instances; i++) dueMs = Math.min(dueMs, this.#lookAt(i));
    return dueMs;
  }

  #lookAt(instance: number): number {
    const call = callOf(this.#pool, instance);
    if (call === null) return Infinity;
    const nowMs = this.#nowMs();
    const asked = this.#asked[instance];
    if (asked?.word !== call.word) {
      const dueMs = call.startedMs + this.#runTimeoutMs;
      if (nowMs < dueMs) return dueMs;
      this.#events.interrupt(instance, call.word >>> 0);
      const untilMs = this.#nowMs() + INTERRUPT_MS;
      this.#asked[instance] = { word: call.word, untilMs };
      return untilMs;
    }
    if (nowMs < asked.untilMs) return asked.untilMs;
    // It has returned at the last moment; what the instance does now is looked at anew.
    if (!giveUpCall(this.#pool, instance, call)) return nowMs;
    this.#events.onLost(instance, nowMs - call.startedMs);
    return Infinity;
  }
}
