/** The Open Inference Protocol over gRPC, by a client that is made from the same file. */

import type * as GrpcJs from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CONNECTION_BYTES,
  FRAME_BYTES,
  STREAM_BYTES,
  widensConnections,
} from "../../src/server/grpc-connections.ts";
import { identityModel, sumAndProductModel } from "../models.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { HTTP2_WINDOW_BYTES, windowsOf } from "../support/grpc-raw.ts";
import { begin, connector } from "../support/grpc.ts";
import type { Client, Message } from "../support/grpc.ts";
import { rejection, sleep, within } from "../support/pipes.ts";
import { ask, starter } from "../support/server.ts";
import type { Running } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const connect = connector(afterAll);

let running: Running;
let client: Client;
const ask1 = (method: string, message: Message = {}): Promise<Message> =>
  within(begin(client, method, message).promise, method);
const refused = async (method: string, message: Message): Promise<[number, string]> => {
  const error = (await rejection(ask1(method, message))) as GrpcJs.ServiceError;
  return [error.code, error.details];
};

const ROW_BYTES = 2 ** 20;

beforeAll(async () => {
  running = await start(
    {
      pair: { backend: "OnnxTensor", model: sumAndProductModel(), max: 4 },
      i64: { backend: "OnnxTensor", model: identityModel("int64"), max: 4 },
      half: { backend: "OnnxTensor", model: identityModel("float16"), max: 4 },
      fault: { backend: "(shape=4)Fault", max: 1, max_queue: 2 },
    },
    { grpcPort: 0, mayChange: true, limits: { bodyBytes: 4 * 2 ** 20 } },
  );
  client = connect(running.grpcPort);
});

const bytesOf = (values: readonly number[]): Buffer => Buffer.from(new Float32Array(values).buffer);
const input = (name: string, shape = [1, 4], datatype = "FP32"): Message => ({ name, datatype, shape });
const fault = (code: number, argument = 0): Message => ({
  model_name: "fault",
  inputs: [input("input")],
  raw_input_contents: [bytesOf([code, argument, 0, 0])],
});
const rawPair = {
  model_name: "pair",
  id: "7",
  inputs: [input("b"), input("a")],
  raw_input_contents: [bytesOf([10, 20, 30, 40]), bytesOf([1, 2, 3, 4])],
};

describe("the server", () => {
  it("tells what it is, what it has, and that it is ready", async () => {
    expect(await ask1("ServerLive")).toEqual({ live: true });
    expect(await ask1("ServerReady")).toEqual({ ready: true });
    expect(await ask1("ServerMetadata")).toMatchObject({ name: "trtpipe", version: "0.0.0" });
    expect(await ask1("ModelReady", { name: "pair", version: "1" })).toEqual({ ready: true });
    expect(await ask1("ModelMetadata", { name: "pair" })).toMatchObject({
      name: "pair",
      versions: ["1"],
      inputs: ["a", "b"].map((name) => ({ name, datatype: "FP32", shape: [-1, 4] })),
    });
    expect(await ask1("ModelConfig", { name: "pair" })).toMatchObject({
      config: { max_batch_size: 4, input: [{ name: "a" }, { name: "b" }] },
    });
    expect(await ask1("ModelReady", { name: "nope" })).toEqual({ ready: false });
    expect(await refused("ModelMetadata", { name: "nope" })).toEqual([5, 'Cannot find model "nope"']);
    expect((await refused("ModelMetadata", { name: "pair", version: "9" }))[0]).toBe(5);
  });

  it("loads, unloads, lists and counts", async () => {
    await ask1("RepositoryModelUnload", { model_name: "half" });
    expect(await ask1("ModelReady", { name: "half" })).toEqual({ ready: false });
    expect((await refused("ModelInfer", { model_name: "half" }))[0]).toBe(5);
    await ask1("RepositoryModelLoad", { model_name: "half" });
    expect(await ask1("ModelReady", { name: "half" })).toEqual({ ready: true });
    const { models } = (await ask1("RepositoryIndex", { ready: true })) as { models: Message[] };
    expect(models.map(({ name }) => name).toSorted()).toEqual(["fault", "half", "i64", "pair"]);
    const { model_stats: stats } = await ask1("ModelStatistics");
    expect((stats as Message[]).length).toBe(4);
  });
});

describe("inference", () => {
  it("takes raw bytes and answers with raw bytes, the outputs that were asked for", async () => {
    const all = await ask1("ModelInfer", rawPair);
    expect(all).toMatchObject({ model_name: "pair", model_version: "1", id: "7" });
    expect(all.outputs).toMatchObject([
      { name: "sum", datatype: "FP32", shape: [1, 4] },
      { name: "product", datatype: "FP32", shape: [1, 4] },
    ]);
    expect(all.raw_output_contents).toEqual([bytesOf([11, 22, 33, 44]), bytesOf([10, 40, 90, 160])]);
    const one = await ask1("ModelInfer", { ...rawPair, outputs: [{ name: "product" }] });
    expect(one.raw_output_contents).toEqual([bytesOf([10, 40, 90, 160])]);
  });

  it("takes contents, and keeps all digits of 64-bit integers", async () => {
    const contents = {
      int64_contents: ["9223372036854775807", "-9223372036854775808", "9007199254740993", 0],
    };
    const message = { model_name: "i64", inputs: [{ ...input("x", [1, 4], "INT64"), contents }] };
    const { raw_output_contents: raw } = (await ask1("ModelInfer", message)) as {
      raw_output_contents: Buffer[];
    };
    const values = new BigInt64Array(new Uint8Array(raw[0]).buffer);
    expect([...values]).toEqual([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 0n]);
  });

  const contents = { fp32_contents: [1, 2, 3, 4] };
  it.each<[string, Message, string]>([
    ["no inputs", { model_name: "pair" }, "expected at least one, got none"],
    ["an input too few", { ...rawPair, inputs: [input("a")] }, "as many as inputs, 1, got 2"],
    ["bytes too few", { ...rawPair, raw_input_contents: [bytesOf([1]), bytesOf([1])] }, "16 bytes for shape"],
    ["both forms", { ...rawPair, inputs: [{ ...input("a"), contents }, input("b")] }, "contents or raw"],
    ["BYTES", { ...rawPair, inputs: [input("a", [1, 4], "BYTES"), input("b")] }, '"a": BYTES tensors'],
    [
      "a negative dimension",
      { ...rawPair, inputs: [input("a", [-1, 4]), input("b")] },
      "integers of at least 0",
    ],
    [
      "another field",
      { model_name: "i64", inputs: [{ ...input("x", [1, 4], "INT64"), contents }] },
      "int64_contents",
    ],
    [
      "FP16 in contents",
      { model_name: "half", inputs: [{ ...input("x", [1, 4], "FP16"), contents }] },
      "raw_input",
    ],
    ["an unknown output", { ...rawPair, outputs: [{ name: "y" }] }, 'Cannot answer with output "y"'],
    ["a parameter without a value", { ...rawPair, parameters: { timeout: {} } }, "it has no value"],
  ])("refuses %s with INVALID_ARGUMENT", async (_, message, text) => {
    expect(await refused("ModelInfer", message)).toEqual([3, expect.stringContaining(text)]);
  });

  it("refuses messages that are too large, and answers others of 3 MB", async () => {
    const rows = (count: number): Message => ({
      model_name: "fault",
      inputs: [input("input", [count, 4])],
      raw_input_contents: [Buffer.alloc(count * 16)],
    });
    expect((await refused("ModelInfer", rows(300_000)))[0]).toBe(8);
    // Not too large for a message, and too large for the queue.
    expect((await refused("ModelInfer", rows(180_000)))[0]).toBe(3);
    await ask1("ModelInfer", fault(Fault.none));
  });
});

describe("a connection", () => {
  it("begins with windows and frames that large requests fit into", async () => {
    const windows = await within(windowsOf(running.grpcPort), "the first frames");
    const connection = widensConnections() ? CONNECTION_BYTES : HTTP2_WINDOW_BYTES;
    expect(windows).toEqual({ stream: STREAM_BYTES, frame: FRAME_BYTES, connection });
  });

  it("takes requests that are several times as large as its windows", async () => {
    const rows = (2 * CONNECTION_BYTES) / ROW_BYTES;
    const large = await start(
      { large: { backend: `(shape=${ROW_BYTES / 4})Identity`, max: 1 } },
      { grpcPort: 0 },
    );
    const message = {
      model_name: "large",
      inputs: [input("input", [rows, ROW_BYTES / 4])],
      raw_input_contents: [Buffer.alloc(rows * ROW_BYTES, 7)],
    };
    const theirs = connect(large.grpcPort);
    for (let turn = 0; turn < 2; turn++) {
      const { raw_output_contents: outputs } = await within(
        begin(theirs, "ModelInfer", message).promise,
        "an answer",
      );
      expect((outputs as Buffer[])[0].equals(message.raw_input_contents[0])).toBe(true);
    }
  });
});

describe("calls that end early", () => {
  const inFlight = async (): Promise<number> => {
    const text = (await ask(running.port, "/metrics")).body.toString();
    return Number(/^trtpipe_queue_rows\{model="fault",version="1"\} (\d+)$/m.exec(text)?.[1]);
  };

  it("are DEADLINE_EXCEEDED by their deadline, and by their timeout in microseconds", async () => {
    const slow = ask1("ModelInfer", fault(Fault.sleepMs, 500));
    await expect.poll(inFlight).toBe(1);
    const late = (await rejection(
      begin(client, "ModelInfer", fault(Fault.none), 60).promise,
    )) as GrpcJs.ServiceError;
    expect(late.code).toBe(4);
    await expect.poll(inFlight).toBe(1);
    const timeout = { timeout: { int64_param: 50_000 } };
    const [code, details] = await refused("ModelInfer", { ...fault(Fault.none), parameters: timeout });
    expect([code, details]).toEqual([4, expect.stringContaining("timeout of 50 ms")]);
    await slow;
  });

  it("give their place back when they are cancelled", async () => {
    const slow = ask1("ModelInfer", fault(Fault.sleepMs, 500));
    await expect.poll(inFlight).toBe(1);
    const waiting = begin(client, "ModelInfer", fault(Fault.none));
    await expect.poll(inFlight).toBe(2);
    waiting.call.cancel();
    expect(((await rejection(waiting.promise)) as GrpcJs.ServiceError).code).toBe(1);
    await expect.poll(inFlight).toBe(1);
    await slow;
  });

  it("are UNAVAILABLE when the queue is full, and INTERNAL when the engine failed", async () => {
    const slow = [fault(Fault.sleepMs, 300), fault(Fault.sleepMs, 1)].map((one) => ask1("ModelInfer", one));
    await expect.poll(inFlight).toBe(2);
    expect((await refused("ModelInfer", fault(Fault.none)))[0]).toBe(14);
    await Promise.all(slow);
    expect((await refused("ModelInfer", fault(Fault.failRow)))[0]).toBe(13);
  });
});

describe("a stream", () => {
  it("answers in the order of the requests, past failures, and ends after the last", async () => {
    // A runtime's own would be no line of JSON in the log.
    const warnings: Error[] = [];
    const collect = (warning: Error): void => void warnings.push(warning);
    process.on("warning", collect);
    const call = client.ModelStreamInfer() as unknown as GrpcJs.ClientDuplexStream<Message, Message>;
    const answers: Message[] = [];
    call.on("data", (answer: Message) => answers.push(answer));
    const ended = new Promise((resolve) => call.once("end", resolve));
    for (let i = 0; i < 300; i++) {
      call.write({ ...rawPair, id: String(i), ...(i === 100 ? { model_name: "nope" } : {}) });
    }
    call.end();
    await within(ended, "the stream");
    const ids = answers.map((answer) => (answer.infer_response as Message).id);
    expect(ids).toEqual(Array.from({ length: 300 }, (_, i) => String(i)));
    const failures = answers.flatMap((answer, i) =>
      answer.error_message ? [[i, answer.error_message]] : [],
    );
    expect(failures).toEqual([[100, 'Cannot find model "nope"']]);
    process.off("warning", collect);
    expect(warnings.map(({ message }) => message)).toEqual([]);
  });
});

describe("the end of a server", () => {
  it("answers what was asked, ends streams, and takes nothing new", async () => {
    const { server, grpcPort } = await start({ fault: { backend: "(shape=4)Fault" } }, { grpcPort: 0 });
    const own = connect(grpcPort);
    const call = own.ModelStreamInfer() as unknown as GrpcJs.ClientDuplexStream<Message, Message>;
    const answers: Message[] = [];
    call.on("data", (answer: Message) => answers.push(answer));
    call.on("error", () => {});
    const ended = new Promise((resolve) => call.once("end", resolve));
    call.write(fault(Fault.sleepMs, 300));
    const slow = begin(own, "ModelInfer", fault(Fault.sleepMs, 400));
    await sleep(150);
    const closed = server.close();
    expect(await within(slow.promise, "the call")).toMatchObject({ model_name: "fault" });
    await within(ended, "the stream");
    expect(answers).toMatchObject([{ infer_response: { model_name: "fault" } }]);
    expect(await within(closed, "close()")).toBe(true);
    await rejection(begin(own, "ServerLive", {}, 1000).promise);
  });
});
