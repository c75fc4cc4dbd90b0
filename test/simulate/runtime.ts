/** What the code under test imports instead of its runtime and of the C library; see build.ts. */

import { EventEmitter } from "node:events";
import { Watch } from "./books.ts";
import { here } from "./here.ts";
import type { LoopTimer } from "./loop.ts";

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

/** By instance: the thread that the supervisor knows now. */
const workers = new Map<number, Worker>();

export function workerOf(instance: number): Worker | undefined {
  return workers.get(instance);
}

/** An instance thread, started by its first message. */
export class Worker extends EventEmitter {
  readonly #instance: number;

  constructor(_url: URL, options: { name: string }) {
    super();
    this.#instance = Number(options.name.replace(/\D+/g, ""));
    workers.set(this.#instance, this);
  }

  postMessage(_message: unknown): void {
    const { world, books } = here();
    books.command[this.#instance] = 1;
    world.threads.mail(1 + this.#instance);
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
    if (state === Watch.unused || state === Watch.ended) throw new Error(`no watch ${watch}`);
    return state;
  };
  return {
    clockMs: () => world.clockMs,
    threadWatch: () => books.watch(world.me),
    threadAlive: (watch: number) => checked(watch) > 0,
    threadUnwatch: (watch: number) => {
      checked(watch);
      books.watches[watch] = Watch.ended;
    },
  };
}
