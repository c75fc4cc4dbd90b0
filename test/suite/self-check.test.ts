/** A batch gives each row what the row gives alone, or the pipe says that it does not. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ModelLoadError, Tensor, pipe } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";
import { models as examples } from "../../examples/models/index.ts";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import { gatherModel, identityModel, openShapeModel } from "../models.ts";
import type { ModelBytes } from "../models.ts";
import { eightfoldModel, perceptronModel } from "../support/models.ts";
import { opener, rejection, within } from "../support/pipes.ts";
import { root } from "../tidy/sources.ts";
import { centred, model, noisy, running, wrongAboveFour } from "../support/row-mixing.ts";

const open = opener(afterAll);

interface Opened {
  models: Pipe;
  lines: string[];
}

async function opened(config: PipeConfig): Promise<Opened> {
  const lines: string[] = [];
  const log: PipeConfig["log"] = (level, text) => lines.push(`${level}: ${text}`);
  return { models: await open({ backend: "OnnxTensor", max: 16, log, ...config }), lines };
}

async function ask(models: Pipe, rows: number[][]): Promise<number[]> {
  const { result } = await within(models({ data: Tensor.from(rows) }), "the call");
  return [...(result as Tensor<"float32">).data];
}

const rows = Array.from({ length: 6 }, (_, i) => [i, i * i, 5 - i, 1]);

describe("rows that are mixed up", () => {
  it.each([
    ["by a mean over the batch", centred, /row 0 of output "y" differs from that row alone by [\d.]+ \(0\./],
    [
      "by a sum that only later rows see",
      running,
      /row 8 of output "y" differs from that row alone by [\d.]+ \(0\./,
    ],
  ])("%s: max becomes 1, and answers are those of lone rows", async (_, add, text) => {
    const { models, lines } = await opened({ model: model(add), instance_num: 2 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^warn: max is lowered from 16 to 1: in a batch of 16, row/);
    expect(lines[0]).toMatch(text);
    expect(models.describe().max).toBe(1);
    const together = await ask(models, rows);
    expect(together).toEqual(add === centred ? together.map(() => 0) : rows.flat());
    const many = await Promise.all(rows.map((row) => ask(models, [row])));
    expect(many.flat()).toEqual(together);
    expect(models.stats().meanBatch).toBe(1);
  });

  it("in child processes, and with sessions of their own", async () => {
    for (const keys of [{ backend: "Process[OnnxTensor]" }, { session: "own", warm_up: 0 }] as const) {
      const { models } = await opened({ model: model(centred), instance_num: 2, ...keys });
      expect(models.describe().max).toBe(1);
    }
  });

  it("only in larger batches: max becomes the largest half that is right", async () => {
    const { models, lines } = await opened({ model: model(wrongAboveFour) });
    expect(lines[0]).toMatch(/max is lowered from 16 to 4: in a batch of 16, row 0 of output "y"/);
    expect(await ask(models, rows)).toEqual(rows.flat());
    const { sizes, reasons } = models.stats();
    expect(sizes.idle.length + reasons.idle).toBeGreaterThan(0);
    for (const counts of Object.values(sizes))
      expect(counts.slice(5).every((count) => count === 0)).toBe(true);
  });

  it("where min or a fixed size needs larger batches, it is an error", async () => {
    const wrong: PipeConfig[] = [
      { model: model(centred), min: 2 },
      { model: model(centred, 4), max: 4 },
    ];
    for (const [i, config] of wrong.entries()) {
      const error = await rejection(pipe({ backend: "OnnxTensor", max: 8, log: () => {}, ...config }));
      expect(error).toBeInstanceOf(ModelLoadError);
      expect(error).toMatchObject({ stage: "warm-up" });
      expect(error.message).toMatch(
        i === 0 ? /, and min is 2 rows; self_check: false/ : /its batch size is fixed/,
      );
    }
  });

  it("unless nobody looks", async () => {
    const { models, lines } = await opened({ model: model(centred), self_check: false });
    expect(models.describe().max).toBe(16);
    expect(lines).toEqual([]);
    expect((await ask(models, rows)).some((value) => value !== 0)).toBe(true);
  });

  it("through an input whose second dimension is the batch", async () => {
    // As recurrent models keep their state: what belongs to one row lies across all rows.
    const graph = new GraphBuilder("state");
    const x = graph.input("x", "float32", ["N", 4]);
    const state = graph.input("state", "float32", ["D", "N", 4]);
    graph.output(
      graph.node("Add", [x, graph.node("ReduceMax", [state], ["h"], { axes: [0], keepdims: 0 })], ["y"]),
      "float32",
      ["N", 4],
    );
    const error = await rejection(
      pipe({ backend: "OnnxTensor", model: graph.toBytes(), max: "2x4,2x2x4", log: () => {} }),
    );
    expect(error).toBeInstanceOf(ModelLoadError);
  });
});

const example = (name: string): Uint8Array => readFileSync(join(root, "examples", "data", name));

describe("models that are right", () => {
  const argmax = (): ModelBytes => {
    const graph = new GraphBuilder("argmax");
    const x = graph.input("x", "float32", ["N", 4]);
    graph.output(graph.node("ArgMax", [x], ["y"], { axis: 1 }), "int64", ["N", 1]);
    return graph.toBytes();
  };

  it.each<[string, Uint8Array, PipeConfig["max"]]>([
    ["two layers", perceptronModel(), 16],
    ["a convolutional network", examples["resnet18-small"].make(), 3],
    ["integers out", argmax(), 16],
    ["places in a table", gatherModel(), 1024],
    ["open dimensions", openShapeModel(), "8x5x6"],
    ["outputs of unknown size", eightfoldModel(), "8x4096"],
    ["float16", identityModel("float16"), 16],
    ["bool", identityModel("bool"), 16],
    ["float64", identityModel("float64"), 16],
    // On samples of zeros and ones it amplifies rounding to 3e-3.
    ["magika", example("magika.onnx"), 4],
    ["EfficientNet-Lite0", example("efficientnet_lite0.onnx"), 4],
  ])("%s: nothing is said", async (_, bytes, max) => {
    const { models, lines } = await opened({ model: bytes, max: max! });
    expect(lines).toEqual([]);
    expect(models.describe().max).toBe(typeof max === "number" ? max : 8);
  });

  it("in 16 bits", async () => {
    const { lines } = await opened({ model: examples["resnet18-small"].make(), max: 8, precision: "fp16" });
    expect(lines).toEqual([]);
  });
});

describe("what cannot be told", () => {
  it("is said, and max stays: a model that answers differently each time", async () => {
    const { models, lines } = await opened({ model: model(noisy) });
    expect(lines).toEqual([
      "info: It cannot be told whether batches are right: " +
        "the same row gives values of output 0 (float32) that differ",
    ]);
    expect(models.describe().max).toBe(16);
  });

  it("and one that does not take our samples", async () => {
    const graph = new GraphBuilder("table");
    const index = graph.input("index", "int64", ["N"]);
    const table = graph.initializer("table", "float32", [1, 2], Float32Array.of(1, 2));
    graph.output(graph.node("Gather", [table, index], ["y"]), "float32", ["N", 2]);
    const { models, lines } = await opened({ model: graph.toBytes() });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^info: It cannot be told .* a run on samples failed: .*indices/);
    const { result } = await within(models({ data: new BigInt64Array([0n]) }), "the call");
    expect([...(result as Tensor<"float32">).data]).toEqual([1, 2]);
  });
});
