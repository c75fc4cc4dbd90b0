/** What all threads have reported: a progress line on stderr, and an end to waiting for what was lost. */

import type { Totals } from "./crossing-clients.mjs";

/** Nothing new for so long means that something was lost. */
const SILENCE_MS = 60_000;

export class Progress {
  readonly #requests: number;
  readonly #byThread = new Map<number, Totals>();
  readonly #startMs = performance.now();
  readonly #live = process.stderr.isTTY === true;
  readonly #line: NodeJS.Timeout;
  #lastMs = performance.now();
  #watch: NodeJS.Timeout | undefined;

  constructor(requests: number) {
    this.#requests = requests;
    this.#line = setInterval(() => this.#show(), this.#live ? 1000 : 10_000);
  }

  report(thread: number, totals: Totals): void {
    this.#lastMs = performance.now();
    this.#byThread.set(thread, { ...totals });
  }

  sum(key: "right" | "wrong" | "failed" | "rows"): number {
    return [...this.#byThread.values()].reduce((total, one) => total + one[key], 0);
  }

  /** The first error of the first thread that had one. */
  get error(): string | undefined {
    return [...this.#byThread.values()].find((one) => one.error !== undefined)?.error;
  }

  /** Resolves when nobody has reported anything for a long time. */
  silence(): Promise<void> {
    return new Promise((resolve) => {
      this.#watch = setInterval(() => {
        if (performance.now() - this.#lastMs > SILENCE_MS) resolve();
      }, 1000);
    });
  }

  end(): void {
    clearInterval(this.#line);
    clearInterval(this.#watch);
    this.#show();
    if (this.#live) process.stderr.write("\n");
  }

  #show(): void {
    const done = this.sum("right") + this.sum("wrong") + this.sum("failed");
    const seconds = (performance.now() - this.#startMs) / 1000;
    const perSecond = (done / seconds).toFixed(0);
    const text = `${done} of ${this.#requests} requests, ${seconds.toFixed(0)} s, ${perSecond} requests/s`;
    process.stderr.write(this.#live ? `\r${text} ` : `${text}\n`);
  }
}
