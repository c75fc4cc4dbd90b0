/** The protobuf reader and writer: exact on what is well formed, and an error on what is not. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { models } from "../examples/models/index.ts";
import { Random } from "../examples/models/random.ts";
import { ModelLoadError } from "../src/errors.ts";
import { checkModelBytes, checkModelFile } from "../src/onnx/check.ts";
import { GraphBuilder } from "../src/onnx/graph-builder.ts";
import { BytesSource, MessageReader, WireError } from "../src/onnx/wire-reader.ts";
import { MessageWriter } from "../src/onnx/wire-writer.ts";
import { gatherModel, identityModel, sumAndProductModel } from "./models.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-reader-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const magika = readFileSync(new URL("../examples/data/magika.onnx", import.meta.url));

describe("reader and writer", () => {
  it.each([0, 1, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 32, 2 ** 53 - 1, -1, -128, 1 - 2 ** 53])(
    "agree on %d",
    (value) => {
      const writer = new MessageWriter();
      writer.integer(1, value);
      writer.integer(536_870_911, BigInt(value));
      const reader = new MessageReader(new BytesSource(writer.toBytes()));
      expect([reader.next(), reader.field, reader.wire, reader.value]).toEqual([true, 1, 0, value]);
      expect([reader.next(), reader.field, reader.wire, reader.value]).toEqual([true, 536_870_911, 0, value]);
      expect(reader.next()).toBe(false);
    },
  );

  it("agree on text, floats, long bytes and messages in messages", () => {
    const long = Uint8Array.from({ length: 5000 }, (_, i) => i);
    const inner = new MessageWriter();
    inner.text(1, "é€😀");
    inner.raw(2, long);
    inner.float(3, -1.5);
    const outer = new MessageWriter();
    outer.message(9, inner);
    outer.text(10, "");
    const bytes = outer.toBytes();
    const reader = new MessageReader(new BytesSource(bytes));
    expect(reader.next()).toBe(true);
    const within = reader.message();
    expect([within.next(), within.text()]).toEqual([true, "é€😀"]);
    expect(within.next()).toBe(true);
    expect(bytes.subarray(within.start, within.end)).toEqual(long);
    expect([within.next(), within.wire, within.end - within.start]).toEqual([true, 5, 4]);
    expect(new DataView(bytes.buffer).getFloat32(within.start, true)).toBe(-1.5);
    expect([within.next(), reader.next(), reader.text(), reader.next()]).toEqual([false, true, "", false]);
  });

  it("read lists, packed or not", () => {
    const bytes = Uint8Array.of(8, 5, 10, 3, 1, 0x80, 1, 8, 7);
    const reader = new MessageReader(new BytesSource(bytes));
    const all: number[] = [];
    while (reader.next()) reader.integers(all);
    expect(all).toEqual([5, 1, 128, 7]);
  });

  it.each([
    ["a field number of 0", [0x00, 0x00]],
    ["a group", [0x0b, 0x0c]],
    ["wire type 7", [0x0f, 0x00]],
    ["a number of 11 bytes", [0x08, ...Array<number>(10).fill(0xff), 0x01]],
    ["a number that is cut off", [0x08, 0x80]],
    ["a length that is cut off", [0x0a, 0x80]],
    ["a length beyond the end", [0x0a, 0x05, 0x00]],
    ["a length of 2^63", [0x0a, ...Array<number>(9).fill(0x80), 0x01]],
    ["a fixed64 that is cut off", [0x09, 0, 0, 0]],
    ["a fixed32 that is cut off", [0x0d, 0, 0, 0]],
  ])("the reader refuses %s", (_, bytes) => {
    const reader = new MessageReader(new BytesSource(Uint8Array.from(bytes)));
    expect(() => reader.next()).toThrow(WireError);
  });

  it("the reader refuses a field that is longer than the message that it is in", () => {
    const outer = new MessageReader(new BytesSource(Uint8Array.of(0x0a, 2, 0x0a, 2, 0x08, 1)));
    expect(outer.next()).toBe(true);
    const inner = outer.message();
    expect(() => inner.next()).toThrow("the field at byte 4 is 2 bytes long, 0 are left");
  });

  it("the writer refuses integers that it cannot hold exactly", () => {
    expect(() => new MessageWriter().integer(1, 0.5)).toThrow("Cannot write field 1: expected an integer");
    expect(() => new MessageWriter().integer(1, 2 ** 53)).toThrow(RangeError);
  });
});

describe("GraphBuilder", () => {
  it("refuses data that does not fit, and names that are taken or empty", () => {
    const graph = new GraphBuilder("g");
    graph.input("x", "float32", ["N"]);
    expect(() => graph.initializer("w", "float32", [2, 3], new Float32Array(5))).toThrow(
      'Cannot add "w": expected 24 bytes for float32 [2, 3], got 20',
    );
    expect(() => graph.initializer("s", "string", [1], new Uint8Array(1))).toThrow(
      "expected no bytes for string",
    );
    expect(() => graph.node("Relu", ["x"], ["x"])).toThrow('Cannot add "x": the name is taken');
    expect(() => graph.input("", "float32", [])).toThrow("Cannot add a value without a name");
  });

  it("leaves out inputs that repeat an initializer, and lists domains", () => {
    const graph = new GraphBuilder("g", { irVersion: 3, opset: 8, producer: "test", producerVersion: "7" });
    graph.input("x", "float32", ["N", 2]);
    graph.initializer("w", "float32", [2], new Float32Array(2));
    graph.node("Add", ["x", "w"], ["sum"]);
    graph.node("com.example::Magic", ["sum"], ["y"], { level: 3, ratio: { float: 0.5 }, mode: "fast" });
    graph.output("y", "float32", null);
    // The builder writes no such input, as old exporters do: it comes in a second graph, which readers merge.
    const old = new GraphBuilder("ignored");
    old.input("w", "float32", [2]);
    const { info } = checkModelBytes(Buffer.concat([graph.toBytes(), old.toBytes()]));
    expect(info.inputs.map(({ name }) => name)).toEqual(["x"]);
    const { info: alone } = checkModelBytes(old.toBytes());
    expect(alone.inputs.map(({ name }) => name)).toEqual(["w"]);
    expect(info.opTypes).toEqual(["Add", "com.example::Magic"]);
    expect(info.opsets).toContainEqual({ domain: "com.example", version: 1 });
    expect(info.outputs).toEqual([{ name: "y", kind: "tensor", dtype: "float32", dims: null }]);
  });
});

it("takes a negative dimension for an open one", () => {
  const wrap = (field: number, value: MessageWriter): MessageWriter => {
    const outer = new MessageWriter();
    outer.message(field, value);
    return outer;
  };
  const dim = new MessageWriter();
  dim.integer(1, -7);
  const type = wrap(1, wrap(2, wrap(1, dim)));
  expect(checkModelBytes(modelOf(11, wrap(2, type))).info.inputs[0]!.dims).toEqual([-1]);
});

describe("a description read from a file is that of its bytes", () => {
  it.each(["resnet18", "resnet18-small", "mlp"] as const)("%s", (name) => {
    const bytes = models[name].make();
    const path = join(folder, `${name}.onnx`);
    writeFileSync(path, bytes);
    expect(checkModelFile(path)).toEqual({ ...checkModelBytes(bytes), path });
  });
});

/** The error's text, or the description; anything else thrown fails the test. */
function answer(check: () => { info: unknown }): unknown {
  try {
    return check().info;
  } catch (error) {
    if (!(error instanceof ModelLoadError) || error.stage !== "parse") throw error;
    return error.message.replace(/^[^(]*/, "");
  }
}

describe("damage", () => {
  const whole = models["resnet18-small"].make();

  it.each([
    ["resnet18-small", whole],
    ["magika", magika],
    ["a graph of two nodes", sumAndProductModel()],
  ])("cutting %s off at every 50th of it is refused", (_, bytes) => {
    const path = join(folder, "cut.onnx");
    for (let i = 0; i < 50; i++) {
      const cut = bytes.subarray(0, Math.floor((bytes.length * i) / 50));
      const text = answer(() => checkModelBytes(cut));
      expect(text).toMatch(/cut off|has no graph|an empty file/);
      writeFileSync(path, cut);
      expect(answer(() => checkModelFile(path))).toBe(text);
    }
  });

  it.each([
    ["resnet18-small", whole, 1],
    ["magika", magika, 2],
    ["a graph of two nodes", sumAndProductModel(), 3],
    ["a graph with weights", gatherModel(), 4],
    ["a graph of one node", identityModel("int8"), 5],
  ])("500 flipped bits of %s each give an error or an answer, the same from a file", (_, bytes, seed) => {
    const random = new Random(seed);
    const path = join(folder, "flipped.onnx");
    const flipped = new Uint8Array(bytes);
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      // Weights are most of a file and none of its structure: half of the flips go to its start.
      const range = i % 2 === 0 ? bytes.length : Math.min(bytes.length, 4096);
      const [place, bit] = [random.integer(range), 1 << random.integer(8)];
      flipped[place]! ^= bit;
      const fromBytes = answer(() => checkModelBytes(flipped));
      if (typeof fromBytes === "string") refused++;
      // Every tenth also as a file.
      if (i % 10 === 0) writeFileSync(path, flipped);
      const again = i % 10 === 0 ? answer(() => checkModelFile(path)) : fromBytes;
      expect(again).toEqual(fromBytes);
      flipped[place]! ^= bit;
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(500);
  });

  it("random bytes after a model's start never do worse", () => {
    const random = new Random(6);
    for (let i = 0; i < 500; i++) {
      const noise = Uint8Array.from({ length: 1 + random.integer(300) }, () => random.integer(256));
      expect(answer(() => checkModelBytes(Buffer.concat([Uint8Array.of(8, 8, 0x3a), noise])))).toBeDefined();
    }
  });

  it("graphs nested without end are refused", () => {
    let graph = new MessageWriter();
    for (let i = 0; i < 1000; i++) {
      const parts = [graph];
      for (const field of [6, 5, 1]) {
        const outer = new MessageWriter();
        outer.message(field, parts.pop()!);
        parts.push(outer);
      }
      graph = parts[0]!;
    }
    const model = new MessageWriter();
    model.integer(1, 8);
    model.message(7, graph);
    const text = answer(() => checkModelBytes(model.toBytes()));
    expect(text).toContain("graphs are nested deeper than 32");
  });

  it("lists and names without end are refused", () => {
    const tensor = new MessageWriter();
    tensor.raw(1, new Uint8Array(100_000));
    expect(answer(() => checkModelBytes(modelOf(5, tensor)))).toContain("is too long");
    const named = new MessageWriter();
    named.raw(8, new Uint8Array(2 ** 21));
    expect(answer(() => checkModelBytes(modelOf(5, named)))).toContain("is 2097152 bytes long");
    const many = new MessageWriter();
    many.integer(1, 8);
    const graph = new Uint8Array(2 * 1_000_001).fill(0);
    for (let i = 0; i < graph.length; i += 2) graph[i] = 0x5a;
    many.raw(7, graph);
    expect(answer(() => checkModelBytes(many.toBytes()))).toContain("more than 1000000 names");
  });
});

function modelOf(field: number, value: MessageWriter): Uint8Array {
  const graph = new MessageWriter();
  graph.message(field, value);
  const model = new MessageWriter();
  model.integer(1, 8);
  model.message(7, graph);
  return model.toBytes();
}
