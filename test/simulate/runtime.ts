/** What the code under test imports instead of its runtime and of the C library; see build.ts. */

import { EventEmitter } from "node:events";
import { TP_ERR_HANDLE } from "../../src/native/abi.ts";
import { NativeError } from "../../src/native/library.ts";
import { Watch } from "./books.ts";
import { here } from "./here.ts";
import type { LoopTimer } from "./loop.ts";
import { seatsOf } from "./plan.ts";

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

/** What a thread is started with; one that was started reads no further messages. */
export interface Start {
  ticket: number;
  model: number;
}

/** By simulated thread: the Worker that the supervisor has on it now. */
const workers = new Map<number, Worker>();

export function workerOf(thread: number): Worker | undefined {
  return workers.get(thread);
}

/** What it had to tell is told. */
export function endWorker(thread: number): void {
  workers.delete(thread);
}

/** A new pipe begins, with no threads. */
export function endWorkers(): void {
  workers.clear();
}

/** An instance thread, started by its first message, on whichever of the threads for it is free. */
export class Worker extends EventEmitter {
  readonly #instance: number;
  readonly #thread: number;
  #isStarted = false;

  constructor(_url: URL, options: { name: string }) {
    super();
    const { world } = here();
    this.#instance = Number(options.name.replace(/\D+/g, ""));
    const free = seatsOf(world.plan).find((thread) => !workers.has(thread));
    if (free === undefined) throw new Error("more threads than there are places for");
    this.#thread = free;
    workers.set(free, this);
  }

  postMessage(message: unknown): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const { ticket, model } = message as Start;
    const { world, books } = here();
    books.leaveLines(this.#thread);
    if (ticket === 0) books.tenant[this.#instance] = this.#thread;
    else books.heir[this.#instance] = this.#thread;
    books.ticket[this.#thread] = ticket;
    books.model[this.#thread] = model;
    books.command[this.#thread] = this.#instance + 1;
    world.threads.mail(this.#thread);
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
