/**
 * This thread's place in the simulation, for what the code under test takes from its runtime: timers, clock,
 * threads and the C library are the simulation's.
 */

import type { Books } from "./books.ts";
import type { Loop } from "./loop.ts";
import type { World } from "./world.ts";

interface Here {
  world: World;
  loop: Loop;
  books: Books;
}

let current: Here | null = null;

export function here(): Here {
  if (current === null) throw new Error("no simulation runs on this thread");
  return current;
}

export function enter(place: Here): void {
  current = place;
}

/** Puts the simulation's timers and clock in place of this thread's global ones. */
export function replaceGlobals(): void {
  const cancel = (timer: unknown): void => {
    if (timer !== undefined) here().loop.cancel(timer as never);
  };
  const realMicrotask = globalThis.queueMicrotask;
  Object.assign(globalThis, {
    setTimeout: (callback: () => void, ms = 0) => here().loop.after(callback, ms),
    clearTimeout: cancel,
    clearInterval: cancel,
    queueMicrotask: (callback: () => void) => {
      const { loop } = here();
      realMicrotask(() => {
        try {
          callback();
        } catch (error) {
          loop.fail(error);
        }
      });
    },
  });
  const now = (): number => here().world.clockMs;
  Object.defineProperty(globalThis.performance, "now", { value: now, configurable: true });
}
