/** `Process[X]`: the same answers as X, and a process that dies costs its own batch and nothing else. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ConfigError, InstanceLostError, ModelLoadError, Tensor, pipe } from "trtpipe";
import type { Pipe, PipeConfig, PipeInput } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import { runChild } from "../support/child.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { hostProcesses, isAlive } from "../support/host-processes.ts";
import { makeChannel } from "../support/memory.ts";
import { affineModel, eightfoldModel, perceptronModel } from "../support/models.ts";
import { opener, rejection, sleep, until, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterEach);

const BACKEND = "Process[(shape=3)Fault]";

function request(number: number, opcode: number = Fault.none, argument = 0): PipeInput {
  return { data: Float32Array.of(opcode, argument, number) };
}

async function ask(models: Pipe, number: number): Promise<number> {
  const { result } = await within(models(request(number)), `the answer to ${number}`);
  return ((result as Tensor).data as Float32Array)[2];
}

async function killed(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until("the process is dead", () => !isAlive(pid));
}

describe("what comes back", () => {
  const answers = async (config: PipeConfig, columns: (n: number) => number): Promise<unknown[]> => {
    const models = await open(config);
    const calls = Array.from({ length: 30 }, async (_, n) => {
      const rows = 1 + (n % 3);
      const data = Float32Array.from({ length: rows * columns(n) }, (__, i) => n + i / 8);
      const input = await models({ data: Tensor.from(data, { shape: [rows, columns(n)] }) });
      const { shape, data: values } = input.result as Tensor;
      return { shape, values };
    });
    return within(Promise.all(calls), "the calls");
  };

  it.each(["Process[OnnxTensor]", "SyncTensor[Process[OnnxTensor]]", "Process[SyncTensor[OnnxTensor]]"])(
    "is what the plain backend gives: %s",
    async (backend) => {
      const config = { model: perceptronModel(), max: 4, instance_num: 2 };
      const plain = await answers({ ...config, backend: "OnnxTensor" }, () => 8);
      expect(await answers({ ...config, backend }, () => 8)).toEqual(plain);
    },
  );

  it("may have any size, within its slot and beyond", async () => {
    const config = { model: eightfoldModel(), max: "4x40", instance_num: 2 };
    const columns = (n: number): number => 1 + ((n * 7) % 40);
    const plain = await answers({ ...config, backend: "OnnxTensor" }, columns);
    expect(await answers({ ...config, backend: "Process[OnnxTensor]" }, columns)).toEqual(plain);
  });

  it("is told by describe()", async () => {
    const models = await open({ backend: "Process[OnnxTensor]", model: affineModel() });
    expect(models.describe()).toMatchObject({ backend: "Process[OnnxTensor]", model: "bytes" });
    expect(models.describe().engine).toMatch(/^ONNX Runtime /);
  });

  it("comes from a model's file, too", async () => {
    const folder = mkdtempSync(join(tmpdir(), "trtpipe-process-"));
    const model = join(folder, "affine.onnx");
    writeFileSync(model, affineModel());
    const models = await open({ backend: "Process[OnnxTensor]", model });
    const answered = async (): Promise<unknown> => {
      const { result } = await within(models({ data: Float32Array.of(1, 2, 3, 4) }), "the answer");
      return (result as Tensor).data;
    };
    expect(await answered()).toEqual(Float32Array.of(3, 5, 7, 9));
    // A replacement reads it again, and notices that it is another model.
    writeFileSync(model, perceptronModel());
    await killed(hostProcesses()[0]);
    const error = await rejection(answered());
    rmSync(folder, { recursive: true });
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error.message).toContain("cannot replace the child process: the model is not the one");
  });
});

describe("a process that dies", () => {
  it.each([
    ["segv", /ended by signal 11/],
    ["abort", /ended by signal 6/],
    ["exit", /ended with exit code 3/],
  ] as const)("costs its own batch only: %s", async (opcode, how) => {
    const models = await open({ backend: BACKEND, instance_num: 2, max: 1 });
    const victim = models(request(1, Fault[opcode]));
    const others = [2, 3, 4, 5, 6].map((number) => ask(models, number));
    const error = await rejection(victim, "the lost request");
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error).toMatchObject({ code: "TP_INSTANCE", maybeExecuted: true });
    expect(error.message).toMatch(/^The batch was lost: the child process that ran the batch ended: /);
    expect(error.message).toMatch(how);
    expect(await Promise.all(others)).toEqual([2, 3, 4, 5, 6]);
    // Nothing was run twice, and no thread was replaced.
    const { reruns, instanceRestarts, succeeded, failed, inFlight } = models.stats();
    expect({ reruns, instanceRestarts, succeeded, failed, inFlight }).toEqual({
      reruns: 0,
      instanceRestarts: 0,
      succeeded: 5,
      failed: 1,
      inFlight: 0,
    });
    expect(await ask(models, 7)).toBe(7);
  });

  it("takes all rows of its batch", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const settled = await within(
      Promise.allSettled([request(1), request(2, Fault.segv), request(3)].map((input) => models(input))),
      "the calls",
    );
    const errors = settled.map((one) => (one.status === "rejected" ? (one.reason as Error) : undefined));
    for (const error of errors) expect(error).toBeInstanceOf(InstanceLostError);
    expect(await ask(models, 4)).toBe(4);
  });

  it("costs nothing when it is killed while it has nothing to do", async () => {
    const models = await open({ backend: BACKEND, instance_num: 2 });
    for (let round = 0; round < 3; round++) {
      for (const pid of hostProcesses()) await killed(pid);
      expect(await Promise.all([1, 2, 3, 4].map((number) => ask(models, number)))).toEqual([1, 2, 3, 4]);
    }
    expect(models.stats()).toMatchObject({ failed: 0, instanceRestarts: 0 });
  });

  it("costs what it was doing when it is killed", async () => {
    const models = await open({ backend: BACKEND });
    const [pid] = hostProcesses();
    const victim = models(request(1, Fault.sleepMs, 30_000));
    await until("it runs", () => models.stats().instances[0].state === "running");
    await sleep(20);
    process.kill(pid, "SIGKILL");
    const error = await rejection(victim, "the lost request");
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error.message).toContain("ended by signal 9");
    expect(await ask(models, 2)).toBe(2);
  });

  it("or hangs is ended after run_timeout", async () => {
    const models = await open({ backend: `(run_timeout=200)${BACKEND}`, instance_num: 2, max: 1 });
    const before = hostProcesses();
    const victims = [models(request(1, Fault.hang)), models(request(2, Fault.sleepMs, 60_000))];
    // Together: either may be the first to reject.
    const errors = await Promise.all(victims.map((victim) => rejection(victim, "the hung request")));
    for (const error of errors) {
      expect(error).toBeInstanceOf(InstanceLostError);
      expect(error.message).toContain("no answer within run_timeout, 200 ms");
    }
    expect(await ask(models, 3)).toBe(3);
    expect(before.filter(isAlive)).toEqual([]);
  });

  it("or loses its device is replaced, and the device found again", async () => {
    const models = await open({ backend: BACKEND });
    const error = await rejection(models(request(1, Fault.deviceLost)), "the lost request");
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error.message).toContain("the device is lost: a row said so");
    expect(await ask(models, 2)).toBe(2);
  });

  it("five times in a row ends its thread, which is replaced", async () => {
    const logged: string[] = [];
    const log = (_: string, text: string): void => void logged.push(text);
    const models = await open({ backend: BACKEND, max: 1, log });
    const calls = Array.from({ length: 6 }, (_, n) => models(request(n, Fault.segv)));
    const settled = await within(Promise.allSettled(calls), "the calls");
    for (const one of settled) expect(one).toMatchObject({ reason: { code: "TP_INSTANCE" } });
    await until("the thread is replaced", () => models.stats().instanceRestarts === 1);
    expect(await ask(models, 7)).toBe(7);
    expect(logged.join()).toMatch(/5 child processes in a row ended .*signal 11/);
    await until("one process is left", () => hostProcesses().length === 1);
  });
});

describe("what fails", () => {
  it("fails as with the plain backend: a row, and its mates go on", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const settled = await within(
      Promise.allSettled([request(1), request(2, Fault.failBatch), request(3)].map((input) => models(input))),
      "the calls",
    );
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(settled[1]).toMatchObject({ reason: { code: "TP_EXEC" } });
  });

  it.each([
    ["(host=/nowhere/trtpipe-host)Process[Identity]", /host program "\/nowhere\/trtpipe-host": No such file/],
    ["(host=/bin/false)Process[Identity]", /ended with exit code 1/],
    ["(host=/bin/cat)Process[Identity]", /ended with exit code 1; it said: .*serve/],
  ])("to start is a ModelLoadError: %s", async (backend, expected) => {
    const error = await rejection(pipe({ backend, log: () => {} }), "pipe()");
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(expected);
  });

  it("to load is a ModelLoadError with the engine's words", async () => {
    const model = affineModel().slice(0, 60);
    const plain = await rejection(pipe({ backend: "OnnxTensor", model }), "pipe()");
    const error = await rejection(pipe({ backend: "Process[OnnxTensor]", model }), "pipe()");
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toBe(plain.message.replace("with OnnxTensor", "with Process[OnnxTensor]"));
  });

  it("to make sense is a ConfigError", async () => {
    const error = await rejection(pipe({ backend: "Process[Process[Identity]]" }), "pipe()");
    expect(error).toBeInstanceOf(ConfigError);
    expect(await rejection(pipe({ backend: "(run_timeout=soon)Process[Identity]" }))).toMatchObject({
      field: "backend argument run_timeout",
    });
  });
});

describe("what is left behind", () => {
  it("after close(): no process, and no handle", async () => {
    const native = loadNative();
    const handles = native.handleCount();
    const models = await open({ backend: BACKEND, instance_num: 3, max: 1 });
    expect(hostProcesses()).toHaveLength(3);
    await rejection(models(request(1, Fault.abort)));
    await within(Promise.all([1, 2, 3, 4].map((number) => ask(models, number))), "the calls");
    await within(models.close(), "close()");
    expect(hostProcesses()).toEqual([]);
    expect(native.handleCount()).toBe(handles);
  });

  it("after a load that failed: no process", async () => {
    const loading = pipe({ backend: "Process[(fail_create=1)Fault]", instance_num: 3, log: () => {} });
    expect(await rejection(loading, "pipe()")).toBeInstanceOf(ModelLoadError);
    await until("they are gone", () => hostProcesses().length === 0);
  });

  it("after an instance thread that was ended: nothing of its own", async () => {
    const workerUrl = new URL("../support/dying-worker.mjs", import.meta.url);
    process.env.TEST_SLOT_WORD = String(makeChannel({ slots: 16 }).layout.word);
    const models = await open({ backend: "Process[(shape=1)Identity]", max: 1, max_queue: 16, workerUrl });
    const [pid] = hostProcesses();
    // What makes the thread end: see dying-worker-hooks.mjs.
    await rejection(models({ data: Float32Array.of(-103) }));
    await until("the thread is replaced", () => models.stats().instanceRestarts === 1);
    const { result } = await within(models({ data: Float32Array.of(5) }), "the answer");
    expect((result as Tensor).data).toEqual(Float32Array.of(5));
    await until("its process is gone", () => !hostProcesses().includes(pid));
    expect(hostProcesses()).toHaveLength(1);
  });

  it.each([
    ["by itself", "processes", null],
    ["by kill -9 in the middle of a run", "processesExit", "SIGKILL"],
  ])("after a process that ended %s: none of its own", async (_, scenario, signal) => {
    let pids: number[] = [];
    const ended = await runChild("test/support/teardown.mjs", {
      args: [scenario],
      onLine: (line, pid) => {
        if (line === "open") pids = hostProcesses(pid);
      },
    });
    expect(ended).toMatchObject({ hung: false, signal, lines: ["open"], stderr: "" });
    expect(pids).toHaveLength(2);
    await until("its processes are gone", () => !pids.some(isAlive));
  });
});
