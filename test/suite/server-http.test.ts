/** The Open Inference Protocol over HTTP: what is asked, and what is answered. */

import { gunzipSync, gzipSync, deflateSync, inflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dtype, Tensor } from "trtpipe";
import { datatypeOf } from "../../src/server/datatypes.ts";
import { carriedDtypes, identityModel, sumAndProductModel } from "../models.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { rejection, within } from "../support/pipes.ts";
import { affineModel } from "../support/models.ts";
import { ask, binaryBody, errorOf, jsonInput, readBinary, starter } from "../support/server.ts";
import type { Answer, Asked, Running } from "../support/server.ts";
import { counting } from "../support/tensors.ts";

useFaultLibrary();
const start = starter(afterAll);
const bytesOf = ({ data }: Tensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

let running: Running;
const send = (path: string, asked?: Asked): Promise<Answer> => ask(running.port, path, asked);
const infer = (model: string, request: unknown, asked: Asked = {}): Promise<Answer> =>
  send(`/v2/models/${model}/infer`, { body: JSON.stringify(request), ...asked });

beforeAll(async () => {
  running = await start({
    affine: { backend: "OnnxTensor", model: affineModel(), max: 4, instance_num: 2 },
    pair: { backend: "OnnxTensor", model: sumAndProductModel(), max: 8 },
    fault: { backend: "(shape=4)Fault", max: 1, max_queue: 2 },
  });
});

const row = (first: number): number[] => [first, first + 1, first + 2, first + 3];
const x = (data: unknown, shape: readonly number[] = [1, 4]): object => jsonInput("x", "FP32", shape, data);

describe("the server", () => {
  it("tells that it lives, that it is ready, and what it is", async () => {
    expect((await send("/v2/health/live")).json).toEqual({ live: true });
    expect(await send("/v2/health/ready")).toMatchObject({ status: 200, json: { ready: true } });
    expect((await send("/v2/")).json).toMatchObject({ name: "trtpipe", version: "0.0.0" });
    expect(JSON.stringify((await send("/v2")).json)).toContain('"binary_tensor_data"');
  });

  it("is not ready before its models are, and lives", async () => {
    const { InferenceServer } = await import("../../src/server/server.ts");
    const log = (): void => {};
    const model = { name: "affine", version: "1", config: { model: affineModel() } };
    const options = {
      host: "127.0.0.1",
      port: 0,
      grpcPort: null,
      mayChange: false,
      drainMs: 1000,
      version: "0",
      log,
    };
    const server = new InferenceServer({ ...options, sources: () => [model] });
    const { port } = await server.listen();
    expect((await ask(port, "/v2/health/live")).status).toBe(200);
    expect(await ask(port, "/v2/health/ready")).toMatchObject({ status: 503, json: { ready: false } });
    const loading = server.load();
    const early = await ask(port, "/v2/models/affine/infer", { body: "{}" });
    expect(early).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    await within(loading, "load()");
    expect((await ask(port, "/v2/health/ready")).status).toBe(200);
    await within(server.close(), "close()");
  });

  it("answers with 404 and 405 where there is nothing", async () => {
    for (const path of [
      "/index.html",
      "/v1",
      "/v2/nothing",
      "/v2/models/affine/nothing",
      "/v2/models/affine/infer/x",
    ]) {
      expect(await send(path)).toMatchObject({ status: 404, json: { error: expect.any(String) } });
    }
    const wrong = await send("/v2/models/affine/infer");
    expect(wrong).toMatchObject({ status: 405, headers: { allow: "POST" } });
    expect((await send("/v2/health/live", { method: "HEAD" })).status).toBe(200);
  });

  it("compares names with names alone", async () => {
    const names = ["nope", "constructor", "__proto__", "..%2F..%2Fetc", "%00", "a".repeat(2000), "affine%20"];
    for (const name of names) {
      const answer = await send(`/v2/models/${name}/infer`, { body: "{}" });
      expect(answer).toMatchObject({
        status: 404,
        json: { error: expect.stringContaining("Cannot find model") },
      });
    }
    expect((await send("/v2/models/affine/versions/2/infer", { body: "{}" })).status).toBe(404);
    expect((await send("/v2/models/%ff")).status).toBe(400);
    expect((await send(`/v2/models/${"a".repeat(5000)}`)).status).toBe(414);
  });
});

describe("a model", () => {
  it("tells its inputs and outputs, with and without a version", async () => {
    const metadata = {
      name: "pair",
      versions: ["1"],
      platform: "trtpipe_OnnxTensor",
      inputs: ["a", "b"].map((name) => ({ name, datatype: "FP32", shape: [-1, 4] })),
      outputs: ["sum", "product"].map((name) => ({ name, datatype: "FP32", shape: [-1, 4] })),
    };
    expect((await send("/v2/models/pair")).json).toEqual(metadata);
    expect((await send("/v2/models/pair/versions/1")).json).toEqual(metadata);
    expect((await send("/v2/models/pair/ready")).json).toEqual({ name: "pair", ready: true });
    expect((await send("/v2/models/pair/versions/1/ready")).status).toBe(200);
    expect((await send("/v2/models/nope/ready")).status).toBe(404);
  });

  it("tells its configuration and counts its requests as Triton does", async () => {
    expect((await send("/v2/models/affine/config")).json).toMatchObject({
      name: "affine",
      max_batch_size: 4,
      input: [{ name: "x", data_type: "TYPE_FP32", dims: [4] }],
      instance_group: [{ count: 2 }],
    });
    const counts = async (): Promise<number[]> => {
      const { json } = await send("/v2/models/affine/stats");
      const [stats] = (json as { model_stats: Record<string, never>[] }).model_stats;
      const { success, fail } = stats.inference_stats as Record<string, { count: number }>;
      return [stats.inference_count, success.count, fail.count];
    };
    const before = await counts();
    await infer("affine", { inputs: [x([row(1), row(2)], [2, 4])] });
    await infer("affine", { inputs: [x([1], [1, 1])] });
    const after = await counts();
    expect(after.map((count, i) => count - before[i])).toEqual([2, 1, 1]);
    const all = (await send("/v2/models/stats")).json as { model_stats: unknown[] };
    expect(all.model_stats.length).toBe(3);
  });
});

describe("inference in JSON", () => {
  it("takes flat and nested data, and answers with the request's id", async () => {
    const flat = await infer("affine", { id: "a/7", inputs: [x([...row(1), ...row(5)], [2, 4])] });
    expect(flat.json).toEqual({
      model_name: "affine",
      model_version: "1",
      id: "a/7",
      outputs: [{ name: "y", datatype: "FP32", shape: [2, 4], data: [3, 5, 7, 9, 11, 13, 15, 17] }],
    });
    const nested = await infer("affine", { id: "a/7", inputs: [x([row(1), row(5)], [2, 4])] });
    expect(nested.json).toEqual(flat.json);
  });

  it("takes null for what a client does not have", async () => {
    const request = {
      id: null,
      parameters: null,
      outputs: null,
      inputs: [{ ...x(row(1)), parameters: null }],
    };
    expect(await infer("affine", request)).toMatchObject({ status: 200, json: { outputs: [{ name: "y" }] } });
  });

  it("answers with the outputs that were asked for, in their order", async () => {
    const inputs = ["a", "b"].map((name, i) => jsonInput(name, "FP32", [1, 4], row(i)));
    const names = (answer: Answer): string[] =>
      (answer.json as { outputs: { name: string }[] }).outputs.map(({ name }) => name);
    expect(names(await infer("pair", { inputs }))).toEqual(["sum", "product"]);
    expect(names(await infer("pair", { inputs, outputs: [{ name: "product" }] }))).toEqual(["product"]);
    const unknown = await infer("pair", { inputs, outputs: [{ name: "quotient" }] });
    expect(unknown.status).toBe(400);
    expect(errorOf(unknown)).toContain('expected a name of the model\'s, "sum", "product"');
  });

  it("writes NaN and infinities as strings, and reads them", async () => {
    const answer = await infer("affine", { inputs: [x(["NaN", "Infinity", "-Infinity", -0.5])] });
    expect(answer.json).toMatchObject({ outputs: [{ data: ["NaN", "Infinity", "-Infinity", 0] }] });
  });

  it.each([
    ["no JSON", "{", "it is not JSON"],
    ["an empty body", "", "it is not JSON"],
    ["a list", "[]", "expected a JSON object, got a list of 0"],
    ["no inputs", "{}", "expected a list of inputs, got none"],
    ["a byte order mark", "\uFEFF{}", "it is not JSON"],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), "not UTF-8"],
    [
      "no datatype",
      '{"inputs":[{"name":"x","shape":[1,4],"data":[1,2,3,4]}]}',
      "expected a datatype of BOOL",
    ],
    ["BYTES", '{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["a"]}]}', '"x": BYTES tensors'],
    [
      "a number beyond doubles",
      JSON.stringify({ inputs: [x([1, 2, 3, 4])] }).replace("[1,2", "[1e999,2"),
      "beyond",
    ],
    ["text for numbers", JSON.stringify({ inputs: [x(["1", 2, 3, 4])] }), 'expected numbers, got "1"'],
    ["too few", JSON.stringify({ inputs: [x([1, 2, 3])] }), "expected 4 elements for shape [1, 4], got 3"],
    [
      "the wrong shape",
      JSON.stringify({ inputs: [x(row(1), [2, 2])] }),
      "expected shape [rows, 4], got [2, 2]",
    ],
    [
      "a fraction of a dimension",
      JSON.stringify({ inputs: [x(row(1), [0.5, 8])] }),
      "integers of at least 0",
    ],
    [
      "another dtype",
      JSON.stringify({ inputs: [jsonInput("x", "INT32", [1, 4], row(1))] }),
      "got a Tensor of int32",
    ],
    ["another name", JSON.stringify({ inputs: [jsonInput("z", "FP32", [1, 4], row(1))] }), '"z"'],
    ["an input twice", JSON.stringify({ inputs: [x(row(1)), x(row(1))] }), "expected each input once"],
    [
      "lists of several lengths",
      JSON.stringify({ inputs: [x([row(1), [5, 6, 7]], [2, 4])] }),
      "expected lists of one length, got one of 4 and one of 3 numbers",
    ],
    ["a dimension below 0", JSON.stringify({ inputs: [x(row(1), [-1, 4])] }), "at least 0, got [-1,4]"],
    ["an id that is no text", JSON.stringify({ id: 7, inputs: [x(row(1))] }), "expected a string, got 7"],
    ["no rows", JSON.stringify({ inputs: [x([], [0, 4])] }), "expected at least 1 row"],
    [
      "a sequence",
      JSON.stringify({ inputs: [x(row(1))], parameters: { sequence_id: 5 } }),
      "sequences are not",
    ],
    [
      "classes",
      JSON.stringify({ inputs: [x(row(1))], outputs: [{ name: "y", parameters: { classification: 3 } }] }),
      "classification",
    ],
  ])("refuses %s with 400 and what is wrong", async (_, body, text) => {
    const answer = await infer("affine", {}, { body });
    expect([answer.status, errorOf(answer)]).toEqual([400, expect.stringContaining(text)]);
  });

  it("refuses whole numbers that JSON did not keep, and those beyond their type", async () => {
    const server = await start({ i64: { model: identityModel("int64"), max: 2, backend: "OnnxTensor" } });
    const sendNumbers = (data: string): Promise<Answer> =>
      ask(server.port, "/v2/models/i64/infer", {
        body: `{"inputs":[{"name":"x","datatype":"INT64","shape":[1,4],"data":${data}}]}`,
      });
    expect((await sendNumbers("[1,2,3,9007199254740991]")).json).toMatchObject({
      outputs: [{ data: [1, 2, 3, 9_007_199_254_740_991] }],
    });
    const lost = await sendNumbers("[1,2,3,9007199254740993]");
    expect([lost.status, errorOf(lost)]).toEqual([
      400,
      expect.stringContaining("at element 3, as a bigint or"),
    ]);
    expect((await sendNumbers("[1,2,3,0.5]")).status).toBe(400);
  });
});

describe("inference with binary data", () => {
  it.each(carriedDtypes)("carries %s in and out, and in JSON", async (dtype) => {
    const config = { backend: "OnnxTensor", model: identityModel(dtype), max: 4 };
    const { port } = await start({ same: config });
    const tensor = counting([3, 4], dtype as Dtype);
    const input = { name: "x", datatype: datatypeOf(dtype), shape: [3, 4], bytes: bytesOf(tensor) };
    const { body, headers } = binaryBody([input], { parameters: { binary_data_output: true } });
    const { json, bytes } = readBinary(await ask(port, "/v2/models/same/infer", { body, headers }));
    expect(json).toMatchObject({ outputs: [{ name: "y", datatype: input.datatype, shape: [3, 4] }] });
    expect(bytes).toEqual([Buffer.from(input.bytes)]);

    const asJson = await ask(port, "/v2/models/same/infer", binaryBody([input]));
    const [output] = (asJson.json as { outputs: { data: number[] }[] }).outputs;
    const again = JSON.stringify({ inputs: [jsonInput("x", input.datatype, [3, 4], output.data)] });
    expect((await ask(port, "/v2/models/same/infer", { body: again })).json).toEqual(asJson.json);
  });

  it("takes bytes that come in any pieces, and mixes them with JSON", async () => {
    const a = new Uint8Array(new Float32Array(row(1)).buffer);
    const { body } = binaryBody([{ name: "a", datatype: "FP32", shape: [1, 4], bytes: a }]);
    const json = JSON.parse(Buffer.from(body.subarray(0, body.length - 16)).toString()) as {
      inputs: object[];
    };
    json.inputs.push(jsonInput("b", "FP32", [1, 4], row(10)));
    const outputs = [{ name: "product" }, { name: "sum", parameters: { binary_data: true } }];
    const head = Buffer.from(JSON.stringify({ ...json, outputs }));
    const whole = Buffer.concat([head, a]);
    const answer = await send("/v2/models/pair/infer", {
      body: Array.from(whole, (byte) => Uint8Array.of(byte)),
      headers: { "inference-header-content-length": String(head.length) },
    });
    const read = readBinary(answer);
    expect(read.json).toMatchObject({
      outputs: [{ name: "product", data: [10, 22, 36, 52] }, { name: "sum" }],
    });
    expect(read.bytes).toEqual([Buffer.from(new Float32Array([11, 13, 15, 17]).buffer)]);
  });

  const floats = new Uint8Array(16);
  const good = binaryBody([{ name: "x", datatype: "FP32", shape: [1, 4], bytes: floats }]);
  const json = (size: unknown): string =>
    JSON.stringify({
      inputs: [{ name: "x", datatype: "FP32", shape: [1, 4], parameters: { binary_data_size: size } }],
    });
  const lying = (size: unknown): Asked => {
    const head = Buffer.from(json(size));
    const headers = { "inference-header-content-length": String(head.length) };
    return { body: Buffer.concat([head, floats]), headers };
  };
  it.each<[string, Asked]>([
    ["beyond the body", { ...good, headers: { "inference-header-content-length": "5000" } }],
    ["negative", { ...good, headers: { "inference-header-content-length": "-1" } }],
    ["no number", { ...good, headers: { "inference-header-content-length": "9e9, 5" } }],
    ["beyond any memory", { ...good, headers: { "inference-header-content-length": "99999999999" } }],
    ["smaller than the data", lying(12)],
    ["larger than the data", lying(17)],
    ["larger than memory", lying(2 ** 52)],
    ["a fraction", lying(15.5)],
    ["text", lying("16")],
    ["negative", lying(-16)],
  ])("refuses lengths that lie: %s", async (_, asked) => {
    expect((await send("/v2/models/affine/infer", asked)).status).toBe(400);
    expect((await send("/v2/models/affine/infer", good)).status).toBe(200);
  });

  it("takes the bytes of the only input alone", async () => {
    const headers = { "inference-header-content-length": "0" };
    const rows = bytesOf(counting([5, 4]));
    const answer = await send("/v2/models/affine/infer", {
      body: [rows.slice(0, 7), rows.slice(7)],
      headers,
    });
    const { json: head, bytes } = readBinary(answer);
    expect(head).toMatchObject({ model_name: "affine", outputs: [{ name: "y", shape: [5, 4] }] });
    const wanted = Float32Array.from(new Float32Array(rows.slice().buffer), (value) => 2 * value + 1);
    expect(bytes).toEqual([Buffer.from(wanted.buffer)]);
    const refused = async (model: string, body: Uint8Array | string): Promise<string> => {
      const refusal = await send(`/v2/models/${model}/infer`, { body, headers });
      return `${refusal.status} ${errorOf(refusal)}`;
    };
    expect(await refused("affine", rows.slice(0, 15))).toMatch(/^400 .*input "x"/);
    expect(await refused("pair", rows)).toMatch(/^400 .*a model with one input, got one with 2/);
    expect(await refused("affine", "")).toMatch(/^400 .*not JSON/);
  });

  it("refuses BYTES by the input's name", async () => {
    const asked = binaryBody([{ name: "x", datatype: "BYTES", shape: [1], bytes: floats }]);
    expect(errorOf(await send("/v2/models/affine/infer", asked))).toContain('input "x": BYTES');
  });
});

describe("compression", () => {
  const { body, headers } = binaryBody([
    { name: "x", datatype: "FP32", shape: [256, 4], bytes: bytesOf(counting([256, 4])) },
  ]);
  it.each([
    ["gzip", gzipSync, gunzipSync],
    ["deflate", deflateSync, inflateSync],
  ] as const)("takes and gives %s", async (name, encode, decode) => {
    const plain = await send("/v2/models/affine/infer", { body, headers });
    const answer = await send("/v2/models/affine/infer", {
      body: encode(body),
      headers: { ...headers, "content-encoding": name, "accept-encoding": `br, ${name};q=0.5` },
    });
    expect(answer).toMatchObject({ status: 200, headers: { "content-encoding": name } });
    expect(decode(answer.body)).toEqual(plain.body);
    expect(answer.body.length).toBeLessThan(plain.body.length);
  });

  it("refuses what is damaged, cut off, or compressed in another way", async () => {
    const wrong = async (encoding: string, bytes: Uint8Array): Promise<number> => {
      const asked = { body: bytes, headers: { ...headers, "content-encoding": encoding } };
      return (await send("/v2/models/affine/infer", asked)).status;
    };
    expect(await wrong("gzip", body)).toBe(400);
    expect(await wrong("gzip", gzipSync(body).subarray(0, 300))).toBe(400);
    expect(await wrong("br", body)).toBe(415);
    expect((await send("/v2/models/affine/infer", { body, headers })).status).toBe(200);
  });
});

describe("requests that do not succeed", () => {
  const faulty = (code: number, argument = 0, more: object = {}): Promise<Answer> =>
    infer("fault", { inputs: [jsonInput("input", "FP32", [1, 4], [code, argument, 0, 0])], ...more });

  it("answer with 504 when their timeout passed, in microseconds", async () => {
    const slow = faulty(Fault.sleepMs, 500);
    const answer = await faulty(Fault.none, 0, { parameters: { timeout: 50_000 } });
    expect([answer.status, errorOf(answer)]).toEqual([504, expect.stringContaining("timeout of 50 ms")]);
    expect((await slow).status).toBe(200);
  });

  it("answer with 503 and Retry-After when the queue is full", async () => {
    const slow = [faulty(Fault.sleepMs, 300), faulty(Fault.sleepMs, 1)];
    await expect.poll(() => inFlight()).toBe(2);
    const answer = await faulty(Fault.none);
    expect(answer).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("answer with 500 when the engine failed, and the server goes on", async () => {
    expect((await faulty(Fault.failRow)).status).toBe(500);
    expect((await faulty(Fault.none)).status).toBe(200);
  });

  it("are given up when their client goes away", async () => {
    const slow = faulty(Fault.sleepMs, 400);
    await expect.poll(() => inFlight()).toBe(1);
    const controller = new AbortController();
    const body = JSON.stringify({ inputs: [jsonInput("input", "FP32", [1, 4], [Fault.none, 0, 0, 0])] });
    const gone = send("/v2/models/fault/infer", { body, signal: controller.signal });
    await expect.poll(() => inFlight()).toBe(2);
    controller.abort();
    expect(await rejection(gone)).toBeInstanceOf(Error);
    await expect.poll(() => inFlight()).toBe(1);
    expect((await slow).status).toBe(200);
  });

  it("tell no paths of this machine", async () => {
    const folder = "/opt/secret/models";
    const { port } = await start(
      { fine: { backend: "Identity" } },
      { mayChange: true, sources: sources(folder) },
    );
    const answer = await ask(port, "/v2/repository/models/gone/load", { body: "" });
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toContain("gone.onnx");
    expect(answer.body.toString()).not.toContain("/opt");
  });

  const sources = (folder: string) => {
    let looks = 0;
    const fine = { name: "fine", version: "1", config: { backend: "Identity" } };
    const gone = { name: "gone", version: "1", config: { model: `${folder}/gone.onnx` } };
    return () => (looks++ === 0 ? [fine] : [fine, gone]);
  };

  const inFlight = async (): Promise<number> => {
    const text = (await send("/metrics")).body.toString();
    return Number(/^trtpipe_queue_rows\{model="fault",version="1"\} (\d+)$/m.exec(text)?.[1]);
  };
});

describe("the repository", () => {
  it("lists its models", async () => {
    const listed = (await send("/v2/repository/index", { body: "" })).json;
    expect(listed).toContainEqual({ name: "affine", version: "1", state: "READY", reason: "" });
  });

  it("does not let clients load and unload unless it was told to", async () => {
    expect((await send("/v2/repository/models/affine/unload", { body: "" })).status).toBe(403);
    expect((await send("/v2/repository/models/affine/load", { body: "" })).status).toBe(403);
  });

  it("loads and unloads", async () => {
    const { port } = await start({ one: { backend: "(shape=4)Identity" } }, { mayChange: true });
    const post = (path: string, body = ""): Promise<Answer> => ask(port, `/v2/repository/${path}`, { body });
    const run = async (): Promise<number> => {
      const body = JSON.stringify({ inputs: [jsonInput("input", "FP32", [1, 4], row(1))] });
      return (await ask(port, "/v2/models/one/infer", { body })).status;
    };
    expect(await run()).toBe(200);
    expect((await post("models/one/unload")).status).toBe(200);
    expect(await run()).toBe(404);
    expect((await post("index", '{"ready":true}')).json).toEqual([]);
    expect((await post("index")).json).toMatchObject([{ state: "UNAVAILABLE", reason: "unloaded" }]);
    expect((await post("models/one/load", '{"parameters":{"config":"{}"}}')).status).toBe(400);
    expect((await post("models/one/load")).status).toBe(200);
    expect(await run()).toBe(200);
    // Loading again replaces it, and loses no request meanwhile.
    const both = await Promise.all([post("models/one/load"), ...Array.from({ length: 20 }, run)]);
    expect(both.slice(1)).toEqual(Array.from({ length: 20 }, () => 200));
    expect((await post("models/two/load")).status).toBe(404);
    expect((await post("models/two/unload")).status).toBe(404);
  });
});
