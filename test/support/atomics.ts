/**
 * Stands between the code under test and the global Atomics, so that a test on one thread can play the other
 * threads: something may happen before each single access, and whoever would sleep is told to the test.
 */

import { atomics, useAtomics } from "../../src/memory/atomics.ts";
import type { AtomicWords, Words } from "../../src/memory/atomics.ts";

export interface Hooks {
  /** Called before each access, with its number from 0. What it does itself is not counted. */
  before?: (access: number) => void;
  /**
   * Called instead of sleeping, when the word still has the value that was seen. Whoever does nothing here
   * lets the wait end by its timeout.
   */
  onWait?: (timeoutMs: number) => void;
}

/** The thread under test would sleep, and nobody is left to wake it. */
export class StuckError extends Error {
  override name = "StuckError";
}

const real = Atomics as unknown as AtomicWords;

/** Runs `body` under `hooks`, and returns the accesses that it made. */
export function withAtomics(hooks: Hooks, body: () => void): number {
  const watched = new WatchedAtomics(hooks);
  useAtomics(watched.words);
  try {
    body();
  } finally {
    useAtomics(real);
  }
  return watched.accesses;
}

/** The same for a body that waits on the event loop. */
export async function withAtomicsAsync(hooks: Hooks, body: () => Promise<void>): Promise<number> {
  const watched = new WatchedAtomics(hooks);
  useAtomics(watched.words);
  try {
    await body();
  } finally {
    useAtomics(real);
  }
  return watched.accesses;
}

class WatchedAtomics {
  accesses = 0;
  readonly words: AtomicWords;
  readonly #hooks: Hooks;

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
    const step = this.#step;
    this.words = {
      load: (words, index) => step(() => real.load(words, index)),
      store: (words, index, value) => step(() => real.store(words, index, value)),
      add: (words, index, value) => step(() => real.add(words, index, value)),
      or: (words, index, value) => step(() => real.or(words, index, value)),
      exchange: (words, index, value) => step(() => real.exchange(words, index, value)),
      compareExchange: (words, index, old, value) =>
        step(() => real.compareExchange(words, index, old, value)),
      notify: (words, index) => step(() => real.notify(words, index)),
      waitAsync: (words, index, value) => step(() => real.waitAsync(words, index, value)),
      wait: (words, index, value, timeoutMs) =>
        step(() => this.#wait(words, index, value, timeoutMs ?? Infinity)),
    };
  }

  readonly #step = <T>(access: () => T): T => {
    this.#asOthers(() => this.#hooks.before?.(this.accesses));
    this.accesses++;
    return access();
  };

  #wait(words: Words, index: number, value: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    if (real.load(words, index) !== value) return "not-equal";
    this.#asOthers(() => this.#hooks.onWait?.(timeoutMs));
    if (real.load(words, index) !== value) return "ok";
    if (timeoutMs === Infinity) throw new StuckError("Nobody wakes this thread any more");
    return "timed-out";
  }

  /** What other threads do goes straight to the memory. */
  #asOthers(body: () => void): void {
    const own = atomics;
    useAtomics(real);
    try {
      body();
    } finally {
      useAtomics(own);
    }
  }
}
