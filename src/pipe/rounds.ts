/**
 * When a caller rings that collects what many sockets bring: each of them is a turn of its own, and what they
 * bring at once is to become one batch. It rings after a round of the event loop that brought nothing new.
 *
 * An instance that sleeps is woken a little earlier, so that it is awake when the bell rings: of ten requests
 * that a model answers in microseconds, its waking would take a sixth of the time.
 */

/** How long a sleeping thread takes to wake up, about. */
const WAKE_MS = 0.045;

export class Rounds {
  /** Rows that there were when the last round of the event loop ended. */
  #lastRound = 0;
  /** When the first row since the last ring came. */
  #firstMs = 0;
  /** Rows after which an instance is woken, as far as the last ring tells. */
  #wakeAt = Infinity;
  #announced = false;

  /** A request has come at `nowMs`, and `rows` before it since the last ring: is an instance to be woken? */
  isWakeDue(rows: number, nowMs: number): boolean {
    if (rows === 0) {
      this.#firstMs = nowMs;
      this.#announced = false;
    }
    if (this.#announced || rows < this.#wakeAt) return false;
    this.#announced = true;
    return true;
  }

  /** A round of the event loop has ended with `rows` since the last ring: is the bell to be rung? */
  isOver(rows: number): boolean {
    const isOver = rows <= this.#lastRound;
    this.#lastRound = isOver ? 0 : rows;
    return isOver;
  }

  /** It rings for `rows`. The next as many are expected to come as fast. */
  rung(rows: number, nowMs: number): void {
    const rowMs = (nowMs - this.#firstMs) / rows;
    this.#wakeAt = Math.max(0, rows - Math.ceil(WAKE_MS / rowMs));
  }
}
