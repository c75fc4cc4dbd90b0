/**
 * Makes an instance thread die at a moment that a row chooses: its first element is one of `deaths`. Every
 * change of hands of a row is one compare-exchange, so that is where this looks.
 */

import process from "node:process";
import { parentPort } from "node:worker_threads";

/** As in src/memory/slot.ts: the lowest three bits of a slot word. */
const QUEUED = 1;
const TAKEN = 2;
const DONE = 3;

const deaths = {
  /** While it leads, before it takes the row. */
  leading: -101,
  /** When the row has run, before it is answered: by an error that nobody catches. */
  answering: -102,
  /** The same by the end of the thread. */
  exiting: -103,
};

let payloads = [];

/** Whether the row is there; a row kills one thread only. */
function asksFor(death) {
  for (const payload of payloads) {
    const at = payload.indexOf(death);
    if (at === -1) continue;
    payload[at] = 0;
    return true;
  }
  return false;
}

const { compareExchange } = Atomics;
Atomics.compareExchange = (words, index, expected, value) => {
  const [from, to] = [expected & 7, value & 7];
  if (from === QUEUED && to === TAKEN && asksFor(deaths.leading)) throw new Error("killed while it led");
  if (from === TAKEN && to === DONE) {
    if (asksFor(deaths.answering)) throw new Error("killed before it answered");
    if (asksFor(deaths.exiting)) process.exit(7);
  }
  return compareExchange(words, index, expected, value);
};

const on = parentPort.on.bind(parentPort);
parentPort.on = (name, listener) =>
  on(name, (message) => {
    const channels = message?.kind === "start" ? message.channels : [];
    payloads = channels.map(({ payload }) => new Float32Array(payload, 0, 16));
    listener(message);
  });
