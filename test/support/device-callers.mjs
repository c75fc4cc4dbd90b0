/**
 * Callers whose requests have tensors in device memory, and that end, or whose calls hang, meanwhile. The
 * arguments are the case and the pipe's `output`. One call hangs as long as the file of FAKE_CUDA_HOLD is
 * there.
 */

import process from "node:process";
import { Buffer } from "node:buffer";
import { rmSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers";
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { DeviceTensor, attach, pipe } from "trtpipe";

const REQUESTS = 5;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text) => process.stdout.write(`${text}\n`);
const hold = () => writeFileSync(process.env.FAKE_CUDA_HOLD, "");
const go = () => rmSync(process.env.FAKE_CUDA_HOLD, { force: true });
const held = () => DeviceTensor.usage().tensors;

async function until(what, holds) {
  for (let tries = 0; !holds(); tries++) {
    if (tries === 1000) throw new Error(`Never came true: ${what}`);
    await sleep(5);
  }
}

/** A thread that asks, never looks at an answer, and ends. */
async function ask() {
  const models = attach(workerData.pipe);
  const tensor = DeviceTensor.attach(workerData.tensor);
  // Bun may come to an answer before the thread is gone: whoever is told has the result to give back.
  const drop = ({ result }) => result.dispose?.();
  for (let i = 0; i < REQUESTS; i++) models({ data: tensor }).then(drop, () => {});
  tensor.dispose();
  await Promise.resolve();
  await Promise.resolve();
  const untilMs = performance.now() + workerData.blockMs;
  while (performance.now() < untilMs);
  process.exit(0);
}

async function askAndEnd(models, tensor, blockMs) {
  const data = { pipe: models.share(), tensor: tensor.share(), blockMs };
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  await new Promise((resolve) => worker.once("exit", resolve));
}

/** The place of the thread that ended, once its rows are back. */
async function inherit(models) {
  for (let tries = 0; tries < 1000; tries++) {
    try {
      return attach(models.share());
    } catch (error) {
      if (error.field !== "max_callers") throw error;
      await sleep(5);
    }
  }
  throw new Error("the place was never free");
}

async function answer(models) {
  const { result } = await models({ data: Float32Array.of(1, 2, 3, 4) });
  const host = result instanceof DeviceTensor ? await result.toHost() : result;
  if (result instanceof DeviceTensor) result.dispose();
  return [...host.data].join();
}

const cases = {
  /** Rows that are answered, and rows that wait, of a thread that has ended; another one takes its place. */
  async ended(models, tensor) {
    for (const waits of [false, true]) {
      if (waits) hold();
      await askAndEnd(models, tensor, waits ? 20 : 200);
      say(`held: ${held() > 0}`);
      go();
      const attached = await inherit(models);
      say(`answered ${await answer(attached)}`);
      await attached.close();
    }
  },
  /** Nobody comes but the end of the pipe. */
  async closed(models, tensor) {
    await askAndEnd(models, tensor, 200);
  },
  /** A call hangs and is given up: its rows' tensors are held until it is back. */
  async hung(models, tensor) {
    hold();
    const call = models({ data: tensor });
    tensor.dispose();
    say(await call.then(String, ({ name }) => name));
    const { quarantinedSlots } = models.stats();
    say(`held: ${held() > 0}, quarantined: ${quarantinedSlots}`);
    go();
    await until("the slot is back", () => models.stats().quarantinedSlots === 0 && held() === 0);
    say(`answered ${await answer(models)}`);
  },
  /** The same, and its thread ends before the call is back. */
  async hungAndEnded(models, tensor) {
    hold();
    await askAndEnd(models, tensor, 1500);
    tensor.dispose();
    say(`held: ${held() > 0}`);
    go();
    const attached = await inherit(models);
    say(`answered ${await answer(attached)}`);
    await attached.close();
  },
  /** The pipe is closed while the call hangs. */
  async hungAndClosed(models, tensor) {
    hold();
    say(await models({ data: tensor }).then(String, ({ name }) => name));
    await models.close();
    say("closed");
  },
};

async function run([name, output]) {
  const model = new Uint8Array(Buffer.from(process.env.TEST_MODEL, "base64"));
  const hangs = name.startsWith("hung");
  const models = await pipe({
    backend: "TensorrtTensor",
    model,
    output,
    max: 2,
    spin_us: 0,
    max_callers: 2,
    ...(hangs && { run_timeout: 100 }),
    log: () => {},
  });
  const tensor = await DeviceTensor.from([[1, 2, 3, 4]]);
  await cases[name](models, tensor);
  tensor.dispose();
  await models.close();
  go();
  await until("nothing is held", () => held() === 0);
  say("nothing is held");
}

if (isMainThread) await run(process.argv.slice(2));
else await ask();
