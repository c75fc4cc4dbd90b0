/** How often instances died of late, and what that means for the next one. On the owner's thread. */

/** Deaths within DEATH_WINDOW_MS after which the pipe gives up. */
export const DEATH_LIMIT = 5;
export const DEATH_WINDOW_MS = 10_000;
const FIRST_BACKOFF_MS = 20;

export class Deaths {
  readonly #times: number[] = [];

  /** One more; returns when its instance is to be replaced, null: they are too many. */
  add(nowMs: number): number | null {
    this.#times.push(nowMs);
    while (nowMs - this.#times[0] > DEATH_WINDOW_MS) this.#times.shift();
    return this.#times.length < DEATH_LIMIT ? FIRST_BACKOFF_MS * 2 ** (this.#times.length - 1) : null;
  }
}
