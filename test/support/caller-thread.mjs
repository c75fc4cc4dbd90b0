/**
 * A calling thread: does what caller-thread.ts asks for. Plain JavaScript, which every runtime starts as a
 * Worker.
 */

import process from "node:process";
import { parentPort } from "node:worker_threads";
import { attach } from "trtpipe";

let models;
/** Promises of calls that were begun and are asked for later. */
const begun = new Map();

/** What answers a caller can post. */
function plain(results) {
  return results.map(({ result }) => result);
}

function blockFor(ms) {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** A client whose rows have numbers of their own; returns how many requests came back wrong. */
async function client(first, requests, rowsMax) {
  let wrong = 0;
  for (let n = 0; n < requests; n++) {
    const rows = 1 + ((first + n) % rowsMax);
    const data = Float32Array.from({ length: rows * 4 }, (_, i) => first + n * 64 + i);
    const { result } = await models({ data });
    if (result.shape[0] !== rows || !data.every((value, i) => result.data[i] === value)) wrong++;
  }
  return wrong;
}

/** A client that looks at which model's factor each answer has: see reloading.ts. */
async function watcher(number, [end, lowest, highest], bounds) {
  const seen = { answers: 0, wrong: 0, failed: 0, errors: [] };
  for (let n = 0; Atomics.load(bounds, end) === 0; n++) {
    const rows = 1 + (n % 3);
    const data = Float32Array.from({ length: rows * 4 }, (_, i) => 1 + number + ((n + i) % 50));
    const least = Atomics.load(bounds, lowest);
    try {
      const { result } = await models({ data });
      const most = Atomics.load(bounds, highest);
      for (let row = 0; row < rows; row++) {
        const factor = result.data[row * 4] / data[row * 4];
        const isOneModels = [1, 2, 3].every((i) => result.data[row * 4 + i] === data[row * 4 + i] * factor);
        if (!isOneModels || factor < least || factor > most || factor % 1 !== 0) seen.wrong++;
      }
      seen.answers++;
    } catch (error) {
      seen.failed++;
      if (seen.errors.length < 3) seen.errors.push(`${error.name}: ${error.message}`);
    }
  }
  return seen;
}

const operations = {
  attach(shared) {
    models = attach(shared);
    return models.describe();
  },
  async call(inputs) {
    return plain(await models(inputs.map((data) => ({ data }))));
  },
  sync(inputs) {
    return plain(inputs.map((data) => models.sync({ data })));
  },
  syncWith({ data, options }) {
    return plain([models.sync({ data }, options)]);
  },
  /** Many calls in flight, all done by the time of one call of sync() behind them. */
  async syncBehind({ data, calls, waitMs }) {
    const answered = Promise.all(Array.from({ length: calls }, () => models({ data })));
    await new Promise((resolve) => setImmediate(resolve));
    blockFor(waitMs);
    const { result } = models.sync({ data });
    return plain([{ result }, ...(await answered)]);
  },
  /** Calls, then keeps this thread from its event loop; the answer is asked for by `settle`. */
  begin({ id, data, blockMs }) {
    const call = models({ data });
    begun.set(id, call);
    call.catch(() => {});
    parentPort.postMessage({ begun: id });
    blockFor(blockMs);
  },
  async settle(id) {
    return plain([await begun.get(id)]);
  },
  async clients({ count, requests, rowsMax, first }) {
    const all = Array.from({ length: count }, (_, i) => client(first + i * 100_000, requests, rowsMax));
    return (await Promise.all(all)).reduce((sum, wrong) => sum + wrong, 0);
  },
  async watch({ count, words, bounds }) {
    const all = await Promise.all(Array.from({ length: count }, (_, k) => watcher(k, words, bounds)));
    const sum = (field) => all.reduce((total, one) => total + one[field], 0);
    const errors = all.flatMap((one) => one.errors);
    return { answers: sum("answers"), wrong: sum("wrong"), failed: sum("failed"), errors };
  },
  describe: () => models.describe(),
  stats: () => models.stats(),
  close: () => models.close(),
  /** Ends this thread, from within. */
  exit: () => process.exit(0),
};

parentPort.on("message", async ({ id, operation, argument }) => {
  try {
    parentPort.postMessage({ id, value: await operations[operation](argument) });
  } catch (error) {
    const { name, code, message } = error;
    parentPort.postMessage({ id, error: { name, code, message } });
  }
});
