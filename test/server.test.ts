/** Parts of the server that need no socket. */

import { describe, expect, it } from "vitest";
import { Tensor } from "../src/index.ts";
import type { ChunkedTensor, InputValue } from "../src/index.ts";
import { chooseEncoding } from "../src/server/compress.ts";
import { Exposition } from "../src/server/exposition.ts";
import { RequestError, failureOf, withoutPaths } from "../src/server/failure.ts";
import { Histogram } from "../src/server/histogram.ts";
import type { HttpReply } from "../src/server/http-reply.ts";
import { ReplyWriter } from "../src/server/infer-reply.ts";
import type { InferRequest } from "../src/server/infer-request.ts";
import { Budget, DEFAULT_LIMITS } from "../src/server/limits.ts";
import { jsonLog } from "../src/server/log.ts";
import { RequestReader } from "../src/server/request-reader.ts";
import { InputError, InstanceLostError, QueueFullError, TimeoutError } from "../src/errors.ts";

describe("failureOf()", () => {
  it.each([
    [new InputError("x", "a", "b"), 400, 3, "refused"],
    [new QueueFullError(1, 0, 4), 503, 14, "full"],
    [new TimeoutError(5, 6), 504, 4, "timeout"],
    [new InstanceLostError("lost", true), 503, 14, "unavailable"],
    [new RequestError(404, "none"), 404, 5, "refused"],
    [new TypeError("a fault of ours in /home/me/x.ts"), 500, 13, "failed"],
  ])("tells %s", (error, http, grpc, outcome) => {
    expect(failureOf(error)).toMatchObject({ http, grpc, outcome });
  });

  it("keeps what went wrong inside to itself", () => {
    expect(failureOf(new TypeError("x is undefined")).message).toBe("Internal error");
  });
});

it.each([
  ["Cannot open /srv/models/a.onnx: no such file", "Cannot open a.onnx: no such file"],
  ['file:///opt/x/lib.so, "/usr/lib/libonnxruntime.so.1"', 'lib.so, "libonnxruntime.so.1"'],
  ["rows/s is 3/4, /v2 and a/b stay", "rows/s is 3/4, /v2 and a/b stay"],
])("withoutPaths(%j) is %j", (text, expected) => {
  expect(withoutPaths(text)).toBe(expected);
});

it.each([
  ["gzip, deflate", "gzip"],
  ["deflate, gzip;q=0.5", "deflate"],
  ["br, GZIP;q=0.1", "gzip"],
  ["gzip;q=0, identity", undefined],
  ["br", undefined],
  ["gzip;q=x", undefined],
])("chooseEncoding(%j) is %j", (accept, expected) => {
  expect(chooseEncoding(accept)).toBe(expected);
});

it("a budget leaves a part for small bodies", () => {
  const MIB = 2 ** 20;
  const budget = new Budget(8 * MIB);
  expect(budget.take(6 * MIB, 0)).toBe(true);
  expect(budget.take(MIB, 6 * MIB)).toBe(false);
  expect(budget.take(MIB, 0)).toBe(true);
  expect(budget.take(MIB, 0)).toBe(true);
  expect(budget.take(1, 0)).toBe(false);
  budget.give(8 * MIB);
  expect(budget.used).toBe(0);
});

it("metrics are written as Prometheus reads them", () => {
  const out = new Exposition();
  out.family("a_total", "counter", "Help.");
  out.sample("a_total", { model: 'x"\\\ny' }, 3);
  const histogram = new Histogram([1, 2]);
  for (const value of [1, 1.5, 7]) histogram.observe(value);
  out.histogram("h", {}, histogram);
  expect(out.text.split("\n")).toEqual([
    "# HELP a_total Help.",
    "# TYPE a_total counter",
    String.raw`a_total{model="x\"\\\ny"} 3`,
    'h_bucket{le="1"} 1',
    'h_bucket{le="2"} 2',
    'h_bucket{le="+Inf"} 3',
    "h_sum 9.5",
    "h_count 3",
    "",
  ]);
});

it("logs are lines of JSON with pino's names", () => {
  const lines: string[] = [];
  const log = jsonLog("info", (line) => lines.push(line));
  log("debug", "not this", {});
  log("warn", "A\nB", { model: "x" });
  expect(lines.length).toBe(1);
  expect(lines[0].indexOf("\n")).toBe(lines[0].length - 1);
  const parsed = JSON.parse(lines[0]) as object;
  expect(parsed).toEqual({ level: 40, time: expect.any(Number), pid: process.pid, msg: "A\nB", model: "x" });
});

describe("RequestReader", () => {
  const input = { name: "x", datatype: "FP32", shape: [1, 2], parameters: { binary_data_size: 8 } };
  const wishes = { outputs: [{ name: "y", parameters: { binary_data: true } }], parameters: { priority: 1 } };
  const read = (reader: RequestReader, document: object, data: Uint8Array, pieceBytes = 1000) => {
    const json = Buffer.from(JSON.stringify(document));
    const body = Buffer.concat([json, data]);
    const pieces: Buffer[] = [];
    for (let at = 0; at < body.length; at += pieceBytes) pieces.push(body.subarray(at, at + pieceBytes));
    return reader.read(pieces, String(json.length));
  };
  const valueOf = ({ inputs }: InferRequest, name: string): InputValue =>
    inputs.find((one) => one.name === name)!.value;
  const bytesOf = (request: InferRequest, name: string): Buffer =>
    Buffer.concat((valueOf(request, name) as ChunkedTensor).data);

  it("reads the same JSON with other data as it did at first, in any pieces", () => {
    const reader = new RequestReader(DEFAULT_LIMITS);
    const document = { inputs: [input, { ...input, name: "__proto__" }], ...wishes };
    const rest = { outputs: [{ name: "y", binary: true }], binaryOutputs: false, priority: "high" };
    for (const [turn, pieceBytes] of [1000, 1000, 7, 1].entries()) {
      const data = Uint8Array.from({ length: 16 }, (_, i) => i + 20 * turn);
      const request = read(reader, document, data, pieceBytes);
      expect(request).toMatchObject({ ...rest, id: undefined, timeoutMs: undefined });
      expect(request.inputs.map(({ name }) => name)).toEqual(["x", "__proto__"]);
      expect(valueOf(request, "x")).toMatchObject({ dtype: "float32", shape: [1, 2] });
      expect(bytesOf(request, "x")).toEqual(Buffer.from(data.subarray(0, 8)));
      expect(bytesOf(request, "__proto__")).toEqual(Buffer.from(data.subarray(8)));
      // Whoever runs a request takes its inputs away.
      request.inputs = [];
    }
  });

  it("refuses other sizes behind JSON that it knows", () => {
    const reader = new RequestReader(DEFAULT_LIMITS);
    const document = { inputs: [input] };
    read(reader, document, new Uint8Array(8));
    expect(() => read(reader, document, new Uint8Array(7))).toThrow("expected a binary_data_size of at most");
    expect(() => read(reader, document, new Uint8Array(9))).toThrow("got 1 bytes more");
    expect(bytesOf(read(reader, document, new Uint8Array(8)), "x")).toHaveLength(8);
  });

  it("keeps apart what differs in the JSON", () => {
    const reader = new RequestReader(DEFAULT_LIMITS);
    const ids = ["a", "b", "a"].map((id) => read(reader, { id, inputs: [input] }, new Uint8Array(8)).id);
    expect(ids).toEqual(["a", "b", "a"]);
    const inJson = { ...input, name: "j", parameters: {}, data: [3, 4] };
    for (const turn of [1, 2]) {
      const request = read(reader, { inputs: [input, inJson] }, new Uint8Array(8).fill(turn));
      expect((valueOf(request, "j") as Tensor).data).toEqual(new Float32Array([3, 4]));
      expect(bytesOf(request, "x")[0]).toBe(turn);
    }
    const shapes = [
      [2, 1],
      [1, 2],
    ];
    const known = shapes.map((shape) => read(reader, { inputs: [{ ...input, shape }] }, new Uint8Array(8)));
    expect(known.map((request) => (valueOf(request, "x") as ChunkedTensor).shape)).toEqual(shapes);
  });
});

describe("ReplyWriter", () => {
  const whole = { id: undefined, inputs: [], outputs: null, binaryOutputs: true };
  const request = { ...whole, timeoutMs: undefined, priority: undefined };
  const y = (rows: number, first: number) => {
    const data = Float32Array.from({ length: rows * 2 }, (_, i) => first + i);
    return ["y", Tensor.from(data, { shape: [rows, 2] })] as const;
  };
  /** What an answer says, its JSON and its numbers. */
  const read = ({ headers, body }: HttpReply) => {
    const all = Buffer.concat(body);
    const jsonBytes = Number(headers["inference-header-content-length"] ?? all.length);
    const { id, outputs } = JSON.parse(all.toString("utf8", 0, jsonBytes)) as Record<string, unknown>;
    const numbers = new Float32Array(Uint8Array.from(all.subarray(jsonBytes)).buffer);
    return { id, outputs, numbers: [...numbers] };
  };
  const output = { name: "y", datatype: "FP32", shape: [1, 2], parameters: { binary_data_size: 8 } };

  it("writes each answer's own numbers behind JSON that it wrote before", () => {
    const writer = new ReplyWriter({ name: "m", version: "1" });
    const [name, { shape }] = y(1, 0);
    for (const first of [1, 5, 9]) {
      const tensor = Tensor.trusted(Float32Array.of(first, first + 1), shape, "float32");
      const expected = { id: undefined, outputs: [output], numbers: [first, first + 1] };
      expect(read(writer.write(request, [[name, tensor]]))).toEqual(expected);
    }
  });

  it("writes JSON anew where the id, the shape or the outputs differ", () => {
    const writer = new ReplyWriter({ name: "m", version: "1" });
    const one = y(1, 1);
    for (const turn of [1, 2]) {
      expect(read(writer.write(request, [one])), `turn ${turn}`).toMatchObject({ outputs: [output] });
      expect(read(writer.write({ ...request, id: "a" }, [one]))).toMatchObject({ id: "a" });
      const two = { ...output, shape: [2, 2], parameters: { binary_data_size: 16 } };
      expect(read(writer.write(request, [y(2, 0)]))).toMatchObject({ outputs: [two], numbers: [0, 1, 2, 3] });
      const json = { ...request, binaryOutputs: false };
      expect(read(writer.write(json, [one])).outputs).toMatchObject([{ data: [1, 2] }]);
      const named = { ...request, outputs: [{ name: "y", binary: false }] };
      expect(read(writer.write(named, [one])).outputs).toMatchObject([{ data: [1, 2] }]);
      const both = read(writer.write(request, [one, ["z", one[1]]]));
      expect(both).toMatchObject({ outputs: [output, { ...output, name: "z" }], numbers: [1, 2, 1, 2] });
    }
  });
});
