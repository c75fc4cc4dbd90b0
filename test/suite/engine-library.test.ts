/**
 * Which ONNX Runtime is loaded. In a file of its own, and in this order, because the first one that a process
 * opens is the one it keeps.
 */

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ModelLoadError } from "trtpipe";
import { affineModel } from "../support/models.ts";
import { opener, rejection } from "../support/pipes.ts";

const open = opener(afterAll);
const folder = mkdtempSync(join(tmpdir(), "trtpipe-engine-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
  delete process.env.TRTPIPE_ONNXRUNTIME;
});

const model = affineModel();

/** The library that the pipe uses. */
async function library(onnxruntime?: string): Promise<string> {
  const config = onnxruntime === undefined ? {} : { onnxruntime };
  const models = await open({ backend: "OnnxTensor", model, ...config });
  return models.describe().engineLibrary;
}

const broken = join(folder, "libonnxruntime.so");
writeFileSync(broken, "not a library");

it("is the one that was named or none: an error says why, and no other is taken", async () => {
  const error = await rejection(library(broken));
  expect(error).toBeInstanceOf(ModelLoadError);
  expect(error).toMatchObject({ stage: "library" });
  expect(error.message).toContain(broken);
});

it("is named by TRTPIPE_ONNXRUNTIME, too", async () => {
  process.env.TRTPIPE_ONNXRUNTIME = broken;
  expect((await rejection(library())).message).toContain(broken);
  delete process.env.TRTPIPE_ONNXRUNTIME;
});

it("is that of onnxruntime-node where nothing else is said", async () => {
  expect(await library()).toMatch(/onnxruntime-node.*libonnxruntime/);
});

it("is one for the whole process: the same by another name is taken, another is refused", async () => {
  const has = await library();
  const link = join(folder, "link.so");
  symlinkSync(has, link);
  expect(await library(link)).toBe(has);
  const error = await rejection(library(broken));
  expect(error).toMatchObject({ stage: "library" });
  expect(error.message).toContain(`this process already uses "${has}"`);
});
