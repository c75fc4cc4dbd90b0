/**
 * Whether to poll for a moment before sleeping. Waking a sleeping thread costs tens of microseconds, so
 * polling pays while the next event is likely to come sooner than that; when events are rare or the cores are
 * busy it only takes from others. Each waiting side has a Spin of its own and tells it how long its waits
 * really were.
 */
export class Spin {
  readonly #limitMs: number;
  #expectedMs: number;

  /** `limitUs` is the longest poll in microseconds; 0 never polls. */
  constructor(limitUs: number) {
    this.#limitMs = limitUs / 1000;
    this.#expectedMs = this.#limitMs;
  }

  /**
   * How long to poll now, in ms: the limit while waits have lately been shorter than twice that, else 0.
   * Twice, because the other side's own waking is part of a wait: two sides that sleep see long waits only
   * because both sleep.
   */
  get budgetMs(): number {
    return this.#expectedMs <= this.#limitMs * 2 ? this.#limitMs : 0;
  }

  /**
   * A wait ended after `waitedMs`. Long waits count as a few limits only, so that a few short ones turn
   * polling on again.
   */
  learn(waitedMs: number): void {
    const capped = Math.min(waitedMs, this.#limitMs * 8);
    this.#expectedMs += (capped - this.#expectedMs) / 4;
  }
}
