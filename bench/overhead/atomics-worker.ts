/** The other side of the baseline: sleeps until a number comes, and hands it back. */

import { workerData } from "node:worker_threads";
import { DONE, REQUESTED, RING } from "./atomics-ring.ts";

const words = new Int32Array(workerData as SharedArrayBuffer);
let done = 0;

for (;;) {
  const requested = Atomics.load(words, REQUESTED);
  if (requested === done) {
    Atomics.wait(words, REQUESTED, done);
    continue;
  }
  for (; done !== requested; done = (done + 1) | 0) {
    const at = done & RING.mask;
    words[RING.results + at] = words[RING.requests + at];
  }
  Atomics.store(words, DONE, done);
  Atomics.notify(words, DONE);
}
