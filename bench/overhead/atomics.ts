/**
 * The baseline: two threads that hand a number over and back through shared memory, with nothing else around
 * it: no payload, no batches, no spinning. What it reaches is what a wake-up and a promise cost.
 */

import { Worker } from "node:worker_threads";
import { DONE, REQUESTED, RING, ringWords } from "./atomics-ring.ts";
import type { Echo } from "./target.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

/** The loop must see its timers: results that never stop coming are drained for this long at most. */
const LONGEST_DRAIN_MS = 1;

export async function open(): Promise<Echo<number>> {
  const words = ringWords();
  const worker = new Worker(new URL("./overhead-atomics-worker.js", import.meta.url), {
    workerData: words.buffer,
  });
  // waitAsync alone does not keep a process alive.
  const keepAlive = setInterval(() => undefined, 1000);
  const pending: ((id: number) => void)[] = Array.from({ length: RING.entries });
  let requested = 0;
  let closed = false;
  void drain(words, pending, () => closed);
  return {
    send: () =>
      new Promise((resolve) => {
        const id = requested & RING.mask;
        pending[id] = resolve;
        words[RING.requests + id] = id;
        requested = (requested + 1) | 0;
        Atomics.store(words, REQUESTED, requested);
        Atomics.notify(words, REQUESTED);
      }),
    bytes: () => NOTHING,
    close: async () => {
      closed = true;
      clearInterval(keepAlive);
      await worker.terminate();
    },
  };
}

/** Takes results as they come. A number is a slot of `pending`, free again once it came back. */
async function drain(
  words: Int32Array,
  pending: ((id: number) => void)[],
  closed: () => boolean,
): Promise<void> {
  let seen = 0;
  let since = performance.now();
  while (!closed()) {
    const done = Atomics.load(words, DONE);
    for (; seen !== done; seen = (seen + 1) | 0) {
      const id = words[RING.results + (seen & RING.mask)];
      pending[id](id);
    }
    const wait = Atomics.waitAsync(words, DONE, done);
    if (wait.async) await wait.value;
    else if (performance.now() - since > LONGEST_DRAIN_MS)
      await new Promise((resolve) => setImmediate(resolve));
    else {
      await undefined;
      continue;
    }
    since = performance.now();
  }
}
