/**
 * Makes an instance thread die at a moment that a row of its own chooses: its first element is one of
 * `deaths`. Every change of hands of a row is one compare-exchange of its slot's word, so that is where this
 * looks. TEST_SLOT_WORD says where the first slot's word is.
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

const firstWord = Number(process.env.TEST_SLOT_WORD);
/** Where a payload's first tensor begins: see src/memory/layout.ts. */
const PAYLOAD_AT = 4096;
let channels = [];

/** Whether the row asks for it; a row kills one thread only. */
function asksFor(death, words, index) {
  const channel = channels.find(({ control }) => control === words.buffer);
  const slot = index - firstWord;
  if (channel === undefined || channel.rows[slot] !== death) return false;
  channel.rows[slot] = 0;
  return true;
}

const { compareExchange } = Atomics;
Atomics.compareExchange = (words, index, expected, value) => {
  const [from, to] = [expected & 7, value & 7];
  const asks = (death) => asksFor(death, words, index);
  if (from === QUEUED && to === TAKEN && asks(deaths.leading)) throw new Error("killed while it led");
  if (from === TAKEN && to === DONE) {
    if (asks(deaths.answering)) throw new Error("killed before it answered");
    if (asks(deaths.exiting)) process.exit(7);
  }
  return compareExchange(words, index, expected, value);
};

const on = parentPort.on.bind(parentPort);
parentPort.on = (name, listener) =>
  on(name, (message) => {
    const buffers = message?.kind === "start" ? message.channels : [];
    channels = buffers.map(({ control, payload }) => ({
      control,
      rows: new Float32Array(payload, PAYLOAD_AT),
    }));
    listener(message);
  });
