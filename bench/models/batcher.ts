/** A batcher as one writes it by hand: gathers calls, runs them together, hands each its part. */

import type { Item, ModelDescription } from "./data.ts";

interface Waiting {
  item: Item;
  resolve(output: Float32Array): void;
  reject(error: unknown): void;
}

export interface BatcherOptions {
  /** Largest batch. */
  max: number;
  /** Milliseconds after the first request, or "tick": when the event loop's present turn is over. */
  flush: number | "tick";
  /** Batches that may run at once. */
  concurrent: number;
}

/** Runs the items and resolves with their outputs one after the other. */
export type RunBatch = (items: readonly Item[]) => Promise<Float32Array>;

export class Batcher {
  batches = 0;
  rows = 0;
  readonly #run: RunBatch;
  readonly #model: ModelDescription;
  readonly #options: BatcherOptions;
  #queue: Waiting[] = [];
  #running = 0;
  #timer: ReturnType<typeof setTimeout> | "tick" | undefined;

  constructor(run: RunBatch, model: ModelDescription, options: BatcherOptions) {
    this.#run = run;
    this.#model = model;
    this.#options = options;
  }

  send(item: Item): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#consider();
    });
  }

  /** Full batches go at once, others when their time has come. */
  #consider(): void {
    if (this.#running >= this.#options.concurrent || this.#queue.length === 0) return;
    if (this.#queue.length >= this.#options.max) return this.#flush();
    if (this.#timer !== undefined) return;
    if (this.#options.flush === "tick") {
      this.#timer = "tick";
      // After all promise jobs of this turn, so that everybody who was just answered can ask again.
      void Promise.resolve().then(() => process.nextTick(() => this.#flush()));
    } else this.#timer = setTimeout(() => this.#flush(), this.#options.flush);
  }

  #flush(): void {
    if (typeof this.#timer === "object") clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#running >= this.#options.concurrent || this.#queue.length === 0) return;
    void this.#runBatch(this.#queue.splice(0, this.#options.max));
    this.#consider();
  }

  async #runBatch(batch: readonly Waiting[]): Promise<void> {
    this.#running++;
    this.batches++;
    this.rows += batch.length;
    try {
      const outputs = await this.#run(batch.map((waiting) => waiting.item));
      const length = this.#model.outputLength;
      batch.forEach(({ resolve }, i) => resolve(outputs.subarray(i * length, (i + 1) * length)));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#running--;
    this.#consider();
  }
}

/** The items one after the other in a new array. */
export function stack(items: readonly Item[]): Item {
  const length = items[0].length;
  const all =
    items[0] instanceof Int32Array
      ? new Int32Array(items.length * length)
      : new Float32Array(items.length * length);
  items.forEach((item, i) => all.set(item, i * length));
  return all;
}
