/**
 * Whether to poll for a moment before sleeping. Waking a sleeping thread costs tens of microseconds, so
 * polling pays while the other side answers sooner than that. Where events are rare, or the cores are taken
 * and the other side needs the very core that polls, it only takes from others. Only trying tells, so each
 * waiting side has a Spin of its own: polls that found nothing are followed by rests, each twice as long as
 * the last, and a poll that found something ends them.
 */

/** Waits without a poll after many polls in vain; one more try then costs next to nothing. */
const REST_MAX = 256;

export class Spin {
  /** The longest poll in ms; 0: none. */
  readonly limitMs: number;
  /** Waits to come that do not poll. */
  #resting = 0;
  /** Length of the next rest, in waits. */
  #rest = 1;

  /** `limitUs` is the longest poll in microseconds; 0 never polls. */
  constructor(limitUs: number) {
    this.limitMs = limitUs / 1000;
  }

  /** How long the wait that begins now may poll, in ms; 0 if it is to sleep at once. Call it once a wait. */
  begin(): number {
    if (this.#resting === 0) return this.limitMs;
    this.#resting--;
    return 0;
  }

  /** A wait that could poll is over, and it came to an end while it polled, or not. */
  end(found: boolean): void {
    if (found) {
      this.#rest = 1;
      return;
    }
    this.#resting = this.#rest;
    this.#rest = Math.min(this.#rest * 2, REST_MAX);
  }
}
