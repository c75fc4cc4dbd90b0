/**
 * Programs that end in various ways, by name. Each prints how far it came, so that one can tell in which half
 * of the work a hang is.
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { attach, pipe } from "trtpipe";

const here = fileURLToPath(import.meta.url);
const say = (line) => (isMainThread ? process.stdout.write(`${line}\n`) : parentPort.postMessage(line));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const SLEEP_MS = 1;
const quick = () => ({ data: new Float32Array(4) });
/** For the Fault backend: keeps its instance busy. */
const slow = (ms) => ({ data: Float32Array.of(SLEEP_MS, ms, 0, 0) });

const fault = (config = {}) => pipe({ backend: "(shape=4)Fault", max: 4, instance_num: 2, ...config });
const onnx = (config = {}) => {
  const model = Buffer.from(process.env.TEST_MODEL, "base64");
  return pipe({ backend: "OnnxTensor", model: new Uint8Array(model), max: 4, instance_num: 2, ...config });
};

/** Starts this file as a Worker that runs another scenario; resolves with the Worker when it says `until`. */
async function start(scenario, data, until) {
  const worker = new Worker(here, { workerData: { scenario, data } });
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.on("error", (error) => say(`error in ${scenario}: ${error?.message}`));
  await new Promise((resolve) => {
    worker.on("message", (line) => {
      say(`${scenario}: ${line}`);
      if (line === until) resolve();
    });
    void ended.then(resolve);
  });
  return { worker, ended };
}

/** Far longer than any test waits. */
const HUNG_MS = 3_600_000;

/** A pipe one of whose calls was given up; the other instance goes on. */
async function givenUp() {
  const models = await fault({ run_timeout: 100, log: () => {} });
  await models(slow(HUNG_MS)).catch(({ code }) => say(`failed ${code}`));
  await models(quick());
  say("answered");
  return models;
}

const scenarios = {
  async close() {
    const models = await onnx();
    say("open");
    await models([quick(), quick(), quick()]);
    say("answered");
    await models.close();
    say("closed");
  },
  async idle() {
    const models = await onnx();
    await models(quick());
    say("answered");
  },
  async uncalled() {
    await onnx();
    say("open");
  },
  async waiting() {
    const models = await fault();
    say("open");
    void models(slow(400)).then(() => say("answered"));
  },
  async exit() {
    const models = await fault();
    void models([slow(700), slow(700), quick()]).catch(() => {});
    await sleep(50);
    say("running");
    process.exit(3);
  },
  async throws() {
    const models = await fault();
    void models([slow(700), slow(700), quick()]).catch(() => {});
    await sleep(50);
    say("running");
    setTimeout(() => {
      throw new Error("nobody catches this");
    }, 0);
  },
  async interrupted() {
    const models = await fault();
    void models([slow(700), slow(700)]).catch(() => {});
    await sleep(50);
    say("running");
    await sleep(10_000);
  },
  async hungExit() {
    const models = await fault();
    process.on("exit", () => say("a listener runs"));
    void models(slow(HUNG_MS)).catch(() => {});
    await sleep(50);
    say("running");
    process.exit(3);
  },
  async hungEnd() {
    await givenUp();
  },
  async hungCode() {
    await givenUp();
    process.exitCode = 4;
  },
  async hungLater() {
    await givenUp();
    process.on("exit", () => say("a later listener runs"));
    process.exit(5);
  },
  async hungThrows() {
    await givenUp();
    throw new Error("nobody catches this");
  },
  async hungClosed() {
    const models = await givenUp();
    await models.close();
    say("closed");
  },
  async hungClosing() {
    const models = await fault({ run_timeout: 100 });
    const call = models(slow(HUNG_MS)).catch(({ code }) => say(`failed ${code}`));
    await models.close();
    await call;
    say("closed");
  },
  async processes() {
    const models = await fault({ backend: "Process[(shape=4)Fault]" });
    await models([quick(), quick()]);
    say("open");
    await sleep(300);
  },
  async processesExit() {
    const models = await fault({ backend: "Process[(shape=4)Fault]" });
    void models([slow(60_000), quick()]).catch(() => {});
    say("open");
    await sleep(300);
    process.kill(process.pid, "SIGKILL");
  },
  async failedLoad() {
    await fault({ backend: "(fail_create=2)Fault", instance_num: 3 }).catch(({ code }) =>
      say(`failed ${code}`),
    );
    await pipe({ model: "missing.onnx" }).catch(({ code }) => say(`failed ${code}`));
  },
  async abortedLoad() {
    const models = await onnx();
    const model = new Uint8Array(Buffer.from(process.env.TEST_MODEL, "base64"));
    for (const afterMs of [1, 20, 60, 120]) {
      const signal = AbortSignal.timeout(afterMs);
      const config = { backend: "OnnxTensor", model, instance_num: 4 };
      await pipe(config, { signal }).then(
        (late) => late.close(),
        () => {},
      );
    }
    await models.close();
    say("closed");
  },
  async workersEnd() {
    const models = await onnx();
    const shared = models.share();
    const workers = await Promise.all(
      [1, 2, 3].map(() => start("calls", { shared, rounds: 50 }, "answered")),
    );
    await Promise.all(workers.map(({ ended }) => ended));
    say("workers ended");
    await models(quick());
    await models.close();
    say("closed");
  },
  async workersTerminated() {
    const models = await onnx();
    const shared = models.share();
    const workers = await Promise.all(
      [1, 2, 3].map(() => start("calls", { shared, rounds: 1e9 }, "running")),
    );
    await sleep(100);
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
    say("workers terminated");
    await models(quick());
    await models.close();
    say("closed");
  },
  async leftWithWorkers() {
    const models = await onnx();
    await start("calls", { shared: models.share(), rounds: 1e9 }, "running");
    say("running");
    process.exit(0);
  },
  async ownerEnds() {
    const { ended } = await start("owns", {}, "answered");
    await ended;
    say("worker ended");
  },
  async ownerTerminated() {
    const { worker } = await start("owns", { stay: true }, "answered");
    await worker.terminate();
    say("worker terminated");
  },
  async ownerLost() {
    const worker = new Worker(here, { workerData: { scenario: "shares", data: {} } });
    const shared = await new Promise((resolve) => worker.once("message", resolve));
    const models = attach(shared);
    await models(quick());
    say("answered");
    const call = models(slow(300));
    await sleep(50);
    await worker.terminate();
    say("worker terminated");
    await call.then(
      () => say("the call was answered"),
      ({ code }) => say(`the call failed with ${code}`),
    );
    await sleep(500);
    await models(quick()).then(
      () => say("a later call was answered"),
      ({ code }) => say(`a later call failed with ${code}`),
    );
  },

  // What follows runs in Workers.

  async calls({ shared, rounds }) {
    const models = attach(shared);
    for (let n = 0; n < rounds; n++) {
      await models([quick(), quick()]);
      models.sync(quick());
      if (n === 3) say("running");
    }
    say("answered");
  },
  async owns({ stay }) {
    const models = await onnx();
    await models([quick(), quick(), quick()]);
    say("answered");
    if (stay) await sleep(60_000);
  },
  async shares() {
    const models = await fault();
    parentPort.postMessage(models.share());
    await sleep(60_000);
  },
};

const { scenario, data } = isMainThread ? { scenario: process.argv.at(-1) } : workerData;
await scenarios[scenario](data);
