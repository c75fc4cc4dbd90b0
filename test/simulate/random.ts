/** A small seeded generator (mulberry32). Its state is one word, so that all threads can share it. */

export class Random {
  readonly #words: Int32Array;
  readonly #at: number;

  /** The state lies in `words[at]`. */
  constructor(words: Int32Array, at = 0) {
    this.#words = words;
    this.#at = at;
  }

  static of(seed: number): Random {
    const random = new Random(new Int32Array([Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995]));
    // The first numbers of neighbouring seeds are alike.
    for (let i = 0; i < 4; i++) random.below(2);
    return random;
  }

  /** A whole number from 0 up to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** From 0 up to, but not including, 1. */
  fraction(): number {
    const state = (this.#words[this.#at] + 0x6d2b79f5) | 0;
    this.#words[this.#at] = state;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** True once in `n` times; never when `n` is 0. */
  oneIn(n: number): boolean {
    return n > 0 && this.below(n) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }
}
