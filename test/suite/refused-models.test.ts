/**
 * Models that an engine, or this library, cannot run: refused when they are loaded, with what is wrong by
 * name.
 */

import { describe, expect, it } from "vitest";
import { ModelLoadError, TrtPipeError, pipe } from "trtpipe";
import type { PipeConfig } from "trtpipe";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import type { GraphOptions } from "../../src/onnx/graph-builder.ts";
import { batchMeanModel, identityModel, nonZeroModel } from "../models.ts";
import type { ModelBytes } from "../models.ts";
import { rejection } from "../support/pipes.ts";

async function load(model: ModelBytes, config: PipeConfig = {}): Promise<TrtPipeError> {
  const error = await rejection(pipe({ backend: "OnnxTensor", model, log: () => {}, ...config }), "pipe()");
  expect(error).toBeInstanceOf(TrtPipeError);
  return error as TrtPipeError;
}

function oneNode(options: GraphOptions, op = "Identity"): ModelBytes {
  const graph = new GraphBuilder("one-node", options);
  const x = graph.input("x", "float32", ["N", 4]);
  graph.output(graph.node(op, [x], ["y"]), "float32", ["N", 4]);
  return graph.toBytes();
}

describe("a model of another time", () => {
  it.each([
    ["an opset", { opset: 99 }, /\b99\b.*\b2\d\b/],
    ["a file format", { irVersion: 99 }, /\b99\b.*\b1\d\b/],
  ])("is refused with both numbers: %s", async (_, options, says) => {
    const error = await load(oneNode(options));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "parse" });
    expect(error.message).toMatch(says);
  });

  it("is refused with the operator that nobody knows", async () => {
    const error = await load(oneNode({}, "NoSuchOp"));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(/NoSuchOp.*17/);
  });
});

describe("a model whose answers are not rows", () => {
  it.each([
    ["as many as the data say", nonZeroModel()],
    ["one mean over the batch", batchMeanModel()],
  ])("is refused for batches, before the first one: %s", async (_, model) => {
    const error = await load(model, { max: 4 });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(/max is 4 rows.*no common first dimension/);
  });
});

describe("a model that has the wrong inputs", () => {
  it("is refused without any", async () => {
    const graph = new GraphBuilder("no-inputs");
    const w = graph.initializer("w", "float32", [4], new Float32Array(4));
    graph.output(graph.node("Identity", [w], ["y"]), "float32", [4]);
    const error = await load(graph.toBytes());
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toContain("0 inputs");
  });

  it("is refused with text: the input and its type are named", async () => {
    const error = await load(identityModel("string"));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(/"x".*string/);
  });

  it("is refused with rows that no memory holds, before any is allocated", async () => {
    const graph = new GraphBuilder("huge");
    const x = graph.input("x", "float32", ["N", 2 ** 40]);
    graph.output(graph.node("Identity", [x], ["y"]), "float32", ["N", 2 ** 40]);
    const error = await load(graph.toBytes());
    expect(error).toMatchObject({ code: "TP_CONFIG", field: "max" });
    expect(error.message).toMatch(/8796093022208 bytes/);
  });
});
