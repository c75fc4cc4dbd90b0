/** `trtpipe inspect`, in the runtime that runs the tests. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipe } from "trtpipe";
import { afterAll, describe, expect, it } from "vitest";
import { externalDataModel, fixedBatchModel, noBatchModel, sumAndProductModel } from "../models.ts";
import { typeErrors } from "../readme/programs.ts";
import { runChild, type Ended } from "../support/child.ts";
import { libraries, negationModel, useFakeCuda } from "../support/tensorrt.ts";
import { root } from "../tidy/sources.ts";

useFakeCuda();
process.env.TRTPIPE_TENSORRT = libraries.tensorrt10;

const folder = mkdtempSync(join(tmpdir(), "trtpipe-inspect-"));
const magika = join(root, "examples", "data", "magika.onnx");

afterAll(() => rmSync(folder, { recursive: true }));

const trtpipe = (...args: string[]): Promise<Ended> =>
  runChild("dist/cli.js", { args: ["inspect", ...args] });

async function inspected(...args: string[]): Promise<unknown> {
  const { code, lines, stderr } = await trtpipe("--json", ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(lines.join("\n"));
}

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe("trtpipe inspect of a model", () => {
  it("tells inputs, outputs, batch dimension, and how often each operator occurs", async () => {
    expect(await inspected(magika)).toMatchObject({
      kind: "onnx",
      file: magika,
      inputs: [{ name: "bytes", dtype: "int32", shape: [expect.any(String), 2048] }],
      outputs: [{ name: "target_label", dtype: "float32", shape: [expect.any(String), 214] }],
      batch: { kind: "dynamic" },
      operators: { MatMul: 2, Mul: 24, Tanh: 2 },
      externalData: { files: [], tensors: 0, problem: null },
    });
  });

  it("counts each operator", async () => {
    const found = await inspected(file("two.onnx", sumAndProductModel()));
    expect(found).toMatchObject({ nodes: 2, operators: { Add: 1, Mul: 1 }, batch: { kind: "dynamic" } });
  });

  it.each([
    ["fixed", fixedBatchModel(3), "batch          fixed: 3 rows a run"],
    ["none", noBatchModel(), "batch          none: "],
  ])("tells a batch dimension that is %s, as the library would", async (kind, bytes, text) => {
    const path = file(`${kind}.onnx`, bytes);
    const { lines } = await trtpipe(path);
    expect(lines.join("\n")).toContain(text);
    const models = await pipe({ model: path, backend: "OnnxTensor" });
    expect(models.describe().batch).toBe(kind);
    await models.close();
  });

  it("tells of external data that is not there, and goes on", async () => {
    const path = file("external.onnx", externalDataModel({ location: "weights.bin" }));
    const found = await inspected(path);
    expect(found).toMatchObject({
      externalData: {
        files: ["weights.bin"],
        tensors: 1,
        problem: expect.stringContaining("there is no such file") as string,
      },
    });
  });

  it.each([
    ["one input and output", magika, "{ data: new Int32Array(2048) }"],
    [
      "several",
      file("several.onnx", sumAndProductModel()),
      "{ data: { a: new Float32Array(4), b: new Float32Array(4) } }",
    ],
  ])("prints types that the compiler and the pipe accept: %s", async (_, path, input) => {
    const { code, lines } = await trtpipe("--types", path);
    expect(code).toBe(0);
    const use = `
      import { pipe } from "trtpipe";
      const models = await pipe({ model: "m" });
      const input: ModelInput = ${input};
      const { result }: { result: ModelResult } = await models(input);
      console.log(result);`;
    const block = { language: "ts", note: "", heading: "", line: 1, text: `${lines.join("\n")}\n${use}` };
    const wrong = { ...block, line: 2, text: block.text.replace(input, "{ data: new Float64Array(1) }") };
    const programs = [block, wrong].map((one) => ({ block: one, files: [] }));
    const errors = typeErrors(programs, folder);
    expect(errors.filter((error) => !error.startsWith("types-2-"))).toEqual([]);
    expect(errors.length).toBeGreaterThan(0);
  });

  it("says what a file is that is neither", async () => {
    const { code, stderr } = await trtpipe(file("page.onnx", new TextEncoder().encode("<!doctype html>")));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^trtpipe inspect: Cannot parse model .*it looks like an HTML page/);
  });
});

describe("trtpipe inspect of an engine", () => {
  const engine = join(folder, "negation.trt");

  it("tells what a kept engine was built for, its profile and its layers", async () => {
    const config = { backend: "TensorrtTensor", model: negationModel(), max: 4, "model::cache": engine };
    await (await pipe(config)).close();
    expect(await inspected(engine)).toMatchObject({
      kind: "container",
      container: {
        format: 1,
        whole: true,
        key: { tensorrt: "TensorRT 10.15.1", gpu: "Fake GPU 0", max: "4" },
      },
      openedBy: { engine: "TensorRT 10.15.1 (Fake GPU 0)" },
      inputs: [{ name: "x", dtype: "float32", shape: [-1, 4] }],
      outputs: [{ name: "y", dtype: "float32", shape: [-1, 4] }],
      profiles: [{ x: { min: [1, 4], opt: [4, 4], max: [4, 4] } }],
      layers: ["first", "second"],
    });
    const { code, lines } = await trtpipe(engine);
    expect(code).toBe(0);
    expect(lines).toContain("  profile 0  x 1x4 .. 4x4 .. 4x4");
    expect((await trtpipe("--types", engine)).lines).toContain(
      'export type ModelData = Tensor<"float32"> | Float32Array;',
    );
  });

  it.each([
    ["createInferRuntime", "cannot start TensorRT's runtime"],
    ["deserializeCudaEngine", "[fake] deserializeCudaEngine was ordered to fail"],
    ["createEngineInspector", '"profiles":[{"x":{"min":[1,4]'],
  ])("tells the rest where %s fails", async (name, words) => {
    process.env.FAKE_TRT_FAIL = `${name}:1`;
    const found = await inspected(engine).finally(() => delete process.env.FAKE_TRT_FAIL);
    expect(found).toMatchObject({ container: { whole: true, key: { max: "4" } }, layers: null });
    expect(JSON.stringify(found)).toContain(words);
    expect(await inspected(engine)).toMatchObject({ layers: ["first", "second"] });
  });

  it("notices a byte that changed, and does not let TensorRT see it", async () => {
    const bytes = readFileSync(engine);
    bytes[bytes.length - 1] ^= 1;
    expect(await inspected(file("changed.trt", bytes))).toMatchObject({
      container: { whole: false },
      openedBy: { missing: "not opened: the file is damaged" },
      inputs: null,
    });
    const { code, stderr } = await trtpipe("--types", join(folder, "changed.trt"));
    expect(code).toBe(1);
    expect(stderr).toContain("its inputs are known only where it runs");
  });

  it("knows a bare plan by its first bytes, and says why TensorRT does not open it", async () => {
    const found = await inspected(file("bare.engine", new TextEncoder().encode("ptrt and no more")));
    expect(found).toMatchObject({
      kind: "plan",
      plan: { magic: "ptrt", bytes: 16 },
      openedBy: { missing: expect.stringContaining("Magic tag does not match") as string },
    });
  });
});
