/** Callers that wait until there is room in their queue, first come first served. */

import { InputError } from "../errors.ts";
import { showSafely } from "./views.ts";

interface Waiter {
  rows: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

export class Room {
  readonly #free: () => number;
  readonly #size: number;
  #waiters: Waiter[] = [];

  /** `free` tells how many rows can be queued now, of `size` in all. */
  constructor(size: number, free: () => number) {
    this.#size = size;
    this.#free = free;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Resolves when `rows` rows fit. */
  wait(rows: number): Promise<void> {
    if (!Number.isInteger(rows) || rows < 1 || rows > this.#size) {
      const expected = `an integer from 1 to max_queue, which is ${this.#size}`;
      return Promise.reject(new InputError("rows", expected, showSafely(rows)));
    }
    if (this.#waiters.length === 0 && this.#free() >= rows) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ rows, resolve, reject }));
  }

  /** Rows may have become free. Those told now take their rows later, so they are counted as gone here. */
  look(): void {
    if (this.#waiters.length === 0) return;
    let free = this.#free();
    while (this.#waiters.length > 0 && this.#waiters[0].rows <= free) {
      const { rows, resolve } = this.#waiters.shift()!;
      free -= rows;
      resolve();
    }
  }

  /** There will be no room any more. */
  refuse(failure: () => Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(failure());
  }
}
