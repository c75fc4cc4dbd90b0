/**
 * How a request ends early. What an AbortSignal does, for one listener at a time: most requests are never
 * cancelled, and a signal with its listeners costs each of them as much as reading its JSON.
 */
export class Cancel {
  #isOver = false;
  #reason: Error | null = null;
  #tell: ((reason: Error) => void) | null = null;

  /** From now on `tell` is told, and nobody else; at once, if the request is cancelled already. */
  listen(tell: (reason: Error) => void): void {
    this.#tell = tell;
    if (this.#reason !== null) tell(this.#reason);
  }

  throwIfCancelled(): void {
    if (this.#reason !== null) throw this.#reason;
  }

  /** The request has its answer: nothing is left to cancel. */
  end(): void {
    this.#isOver = true;
    this.#tell = null;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The first reason counts. */
  cancel(reason: Error): void {
    if (this.#reason !== null || this.#isOver) return;
    this.#reason = reason;
    this.#tell?.(reason);
  }
}
