/** Waiting for something that may be given up. */

/** Rejects with the signal's reason when it is aborted. */
export class AbortWait {
  readonly promise: Promise<never>;
  readonly #signal: AbortSignal | null;
  #onAbort = (): void => {};

  constructor(signal: AbortSignal | null) {
    this.#signal = signal;
    this.promise = new Promise((_, reject) => {
      this.#onAbort = () => reject(signal?.reason as Error);
    });
    // Whoever waits no longer is not told.
    this.promise.catch(() => {});
    if (signal?.aborted) this.#onAbort();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  end(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
