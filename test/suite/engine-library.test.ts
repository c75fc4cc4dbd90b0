/**
 * Which ONNX Runtime is loaded. In a file of its own, because the first one that a process opens is the one
 * it keeps.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ModelLoadError } from "trtpipe";
import { affineModel } from "../support/models.ts";
import { opener } from "../support/pipes.ts";

const open = opener(afterAll);
const folder = mkdtempSync(join(tmpdir(), "trtpipe-engine-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
  delete process.env.TRTPIPE_ONNXRUNTIME;
});

const model = affineModel();

/** What the pipe loaded, or why it could not. */
async function library(onnxruntime?: string): Promise<string> {
  try {
    const config = onnxruntime === undefined ? {} : { onnxruntime };
    const models = await open({ backend: "OnnxTensor", model, ...config });
    return models.describe().engineLibrary;
  } catch (error) {
    if (error instanceof ModelLoadError && error.stage === "library") return error.message;
    throw error;
  }
}

it("is the one that was asked for, and an error lists what was tried", async () => {
  const broken = join(folder, "libonnxruntime.so");
  writeFileSync(broken, "not a library");
  // A machine may have one on the loader's path, which is tried last.
  const found = await library(broken);
  expect(found === broken).toBe(false);
  expect(found).toMatch(/libonnxruntime/);
  expect(found.startsWith("Cannot") ? found : broken).toContain(broken);
});

it("is named by TRTPIPE_ONNXRUNTIME, too", async () => {
  const missing = join(folder, "elsewhere", "libonnxruntime.so");
  process.env.TRTPIPE_ONNXRUNTIME = missing;
  const found = await library();
  expect(found === missing).toBe(false);
  delete process.env.TRTPIPE_ONNXRUNTIME;
});

it("is that of onnxruntime-node where nothing else is said", async () => {
  expect(await library()).toMatch(/libonnxruntime/);
});
