/** What the code under test imports instead of its runtime and of the C library; see build.ts. */

import { EventEmitter } from "node:events";
import { TP_ERR_HANDLE } from "../../src/native/abi.ts";
import { NativeError } from "../../src/native/library.ts";
import { Watch } from "./books.ts";
import { here } from "./here.ts";
import type { LoopTimer } from "./loop.ts";
import { threadOfSeat } from "./plan.ts";

// ---- node:timers

export function setImmediate(callback: () => void): void {
  here().loop.immediate(callback);
}

export function setInterval(callback: () => void, ms: number): LoopTimer {
  return here().loop.after(callback, ms, ms);
}

export function setTimeout(callback: () => void, ms: number): LoopTimer {
  return here().loop.after(callback, ms);
}

export function clearTimeout(timer: LoopTimer | undefined): void {
  if (timer !== undefined) here().loop.cancel(timer);
}

// ---- node:worker_threads

export const isMainThread = false;

/** By seat: the thread that was started there last. */
const workers = new Map<number, Worker>();

export function workerOf(seat: number): Worker | undefined {
  return workers.get(seat);
}

/** An instance thread, started by its first message. */
export class Worker extends EventEmitter {
  readonly #instance: number;
  readonly #seat: number;

  constructor(_url: URL, options: { name: string }) {
    super();
    const { world, books } = here();
    this.#instance = Number(options.name.replace(/\D+/g, ""));
    // Its own seat, unless a thread that was given up still has it.
    this.#seat =
      books.taken[this.#instance] === 0 ? this.#instance : books.taken.indexOf(0, world.plan.shape.instances);
    if (this.#seat === -1) throw new Error("more threads than seats");
    books.taken[this.#seat] = 1;
    workers.set(this.#seat, this);
  }

  postMessage(_message: unknown): void {
    const { world, books } = here();
    books.command[this.#seat] = this.#instance + 1;
    world.threads.mail(threadOfSeat(world.plan, this.#seat));
  }

  ref(): void {}

  unref(): void {}
}

// ---- native/load.ts

/** The little of the C library that callers need: watches on threads, and the clock. */
export function loadNative(): object {
  const { world, books } = here();
  const checked = (watch: number): number => {
    world.pause();
    const state = books.watches[watch];
    if (state === Watch.unused || state === Watch.ended)
      throw new NativeError(TP_ERR_HANDLE, `no watch ${watch}`);
    return state;
  };
  return {
    clockMs: () => world.clockMs,
    threadWatch: () => books.watch(world.me),
    threadAlive: (watch: number) => checked(watch) > 0,
    threadUnwatch: (watch: number) => {
      checked(watch);
      books.leave(watch);
    },
  };
}
