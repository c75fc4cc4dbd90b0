/** Requests that fail and that nobody waits for: each is one unhandled rejection, and nothing else is. */

import process from "node:process";
import { pipe } from "trtpipe";

const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error.code));

const FAIL_BATCH = 4;
const SLEEP_MS = 1;
const row = (...values) => ({ data: Float32Array.of(...values, 0, 0, 0).slice(0, 4) });

const models = await pipe({ backend: "(shape=4)Fault", max_queue: 2, log: () => {} });
const settled = async (expected) => {
  for (let n = 0; n < 400 && unhandled.length < expected; n++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
models(row(FAIL_BATCH));
await settled(1);
models({ data: null });
await settled(2);
const running = [models(row(SLEEP_MS, 200)), models(row(0))];
models(row(0));
await settled(3);
await Promise.all(running);
void models(row(SLEEP_MS, 300), { timeout: 50 });
await settled(4);
// Answers that nobody takes are no rejections.
void models(row(0));
await models.close();
models(row(0));
await settled(5);
await new Promise((resolve) => setTimeout(resolve, 100));
for (const code of unhandled) process.stdout.write(`${code}\n`);
process.stdout.write(`${unhandled.length} unhandled\n`);
