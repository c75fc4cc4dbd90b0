/** The examples' way from a file to a model's input, and back to words, on the models that come with them. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { imageTensor } from "../examples/images.ts";
import { imagenetLabels, topGuesses } from "../examples/labels.ts";
import { fileKind, magikaConfig, magikaFeatures } from "../examples/magika-features.ts";

const data = (name: string): string => fileURLToPath(new URL(`../examples/data/${name}`, import.meta.url));

let folder = "";
let classifier: InferenceSession;
let magika: InferenceSession;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-examples-"));
  classifier = await InferenceSession.create(data("efficientnet_lite0.onnx"));
  magika = await InferenceSession.create(data("magika.onnx"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await Promise.all([classifier.release(), magika.release()]);
});

describe("photos", () => {
  it.each([
    ["chelsea.jpg", [281, 282, 285], 0.92],
    ["coffee.jpg", [967], 0.95],
    ["rocket.jpg", [657], 0.32],
  ])("%s is what it is", async (name, classes, expected) => {
    const image = new Tensor("float32", await imageTensor(data(name)), [1, 3, 224, 224]);
    const { logits } = await classifier.run({ image });
    const guesses = topGuesses(logits!.data as Float32Array, imagenetLabels(), classes.length);
    expect(guesses.map(({ index }) => index).toSorted()).toEqual(classes);
    const probability = guesses.reduce((sum, guess) => sum + guess.probability, 0);
    expect(Math.abs(probability - expected)).toBeLessThan(0.03);
  });

  it("imageTensor() takes the middle, upright, as planes", async () => {
    // Red above and blue below, green at either end, stored lying on its side as a camera would.
    const stripe = (width: number, background: string) => ({
      create: { width, height: 100, channels: 3 as const, background },
    });
    const layers = [
      { input: stripe(50, "#ff0000"), left: 10, top: 0 },
      { input: stripe(50, "#0000ff"), left: 60, top: 0 },
    ];
    const lying = sharp(stripe(120, "#00ff00")).composite(layers).withMetadata({ orientation: 6 });
    const tensor = await imageTensor(await lying.png().toBuffer(), {
      size: 80,
      crop: 0.8,
      mean: 0,
      scale: 255,
    });
    const half = 80 * 40;
    const [red, green, blue] = [0, 1, 2].map((plane) =>
      tensor.subarray(plane * 2 * half, (plane + 1) * 2 * half),
    );
    const upper = Array.from({ length: 2 * half }, (_, i) => (i < half ? 1 : 0));
    expect([...red!]).toEqual(upper);
    expect([...green!]).toEqual(upper.map(() => 0));
    expect([...blue!]).toEqual(upper.map((value) => 1 - value));
  });

  it("imageTensor() refuses what is no picture", async () => {
    await expect(imageTensor(data("README.md"))).rejects.toThrow(/unsupported image format/);
  });

  it("topGuesses() is a softmax that does not overflow", () => {
    const guesses = topGuesses([1000, 1000 + Math.log(3), -1000], ["a", "b", "c"], 2);
    expect(guesses.map(({ name }) => name)).toEqual(["b", "a"]);
    expect(guesses[0]!.probability).toBeCloseTo(0.75, 12);
    expect(() => topGuesses([1, 2], ["a"])).toThrow("Cannot name 2 classes: there are 1 labels");
    expect(imagenetLabels()).toHaveLength(1000);
  });
});

describe("kinds of files", () => {
  const config = magikaConfig();

  async function kindOf(path: string): Promise<string> {
    const features = await magikaFeatures(path, config);
    if (!(features instanceof Int32Array)) return features.label;
    const { target_label } = await magika.run({ bytes: new Tensor("int32", features, [1, 2048]) });
    const kind = fileKind(target_label!.data as Float32Array, config);
    return kind.sure ? kind.label : `perhaps ${kind.label}`;
  }

  it.each([
    ["../examples/data/coffee.jpg", "jpeg"],
    ["../examples/data/magika.onnx", "onnx"],
    ["../examples/data/imagenet_classes.json", "json"],
    ["../examples/data/README.md", "markdown"],
    ["../src/errors.ts", "typescript"],
    ["../csrc/include/trtpipe.h", "c"],
  ])("%s is %s", async (path, expected) => {
    expect(await kindOf(fileURLToPath(new URL(path, import.meta.url)))).toBe(expected);
  });

  it.each([
    ["", "empty"],
    ["  \n\t ab\v\f \r\n", "txt"],
    ["\xff\xfe\x01", "unknown"],
  ])("%j takes no model: %s", async (content, expected) => {
    const path = join(folder, "few");
    writeFileSync(path, Buffer.from(content, "latin1"));
    expect(await magikaFeatures(path, config)).toEqual({ label: expected, score: 1, sure: true });
  });

  it("magikaFeatures() takes blanks off, then the first and the last 1024 bytes", async () => {
    const path = join(folder, "file");
    const features = async (content: string): Promise<number[]> => {
      writeFileSync(path, Buffer.from(content, "latin1"));
      return [...((await magikaFeatures(path, config)) as Int32Array)];
    };
    const codes = (text: string): number[] => [...Buffer.from(text, "latin1")];
    const none = Array<number>(1024 - 8).fill(256);
    expect(await features(" \n12345678\0 \t")).toEqual([
      ...codes("12345678\0 \t"),
      ...Array<number>(1024 - 11).fill(256),
      ...Array<number>(1024 - 11).fill(256),
      ...codes(" \n12345678\0"),
    ]);
    expect(await features("12345678")).toEqual([
      ...codes("12345678"),
      ...none,
      ...none,
      ...codes("12345678"),
    ]);
    const long = `${" ".repeat(3000)}${"a".repeat(2000)}${"b".repeat(2000)}${"\n".repeat(3000)}`;
    // Only 4096 bytes are read at either side, and what is left of them after the blanks.
    const ends = await features(long);
    expect(ends.slice(0, 1024)).toEqual(codes("a".repeat(1024)));
    expect(ends.slice(1024)).toEqual(codes("b".repeat(1024)));
    const blank = `${" ".repeat(4000)}${"a".repeat(200)}${"b".repeat(8000)}`;
    expect((await features(blank)).slice(0, 104)).toEqual([
      ...codes("a".repeat(96)),
      ...Array<number>(8).fill(256),
    ]);
  });

  it("fileKind() renames, and says when it is not sure", () => {
    const scores = (label: string, score: number): number[] =>
      config.target_labels_space.map((other) => (other === label ? score : 0));
    expect(fileKind(scores("python", 0.6), config)).toEqual({ label: "python", score: 0.6, sure: true });
    expect(fileKind(scores("r", 0.89), config)).toEqual({ label: "r", score: 0.89, sure: false });
    expect(fileKind(scores("randombytes", 0.49), config)).toEqual({
      label: "unknown",
      score: 0.49,
      sure: false,
    });
  });
});
