/** The models of the examples and benches: made on first use, then kept in a folder. */

import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { checkModelFile } from "../../src/onnx/check.ts";
import { mlp, wide } from "./perceptron.ts";
import { producer, producerVersion } from "./producer.ts";
import { resnet18 } from "./resnet18.ts";

export type ModelName = "resnet18" | "resnet18-small" | "mlp" | "wide";

/** Called with the share that is done, 0..1, and only while a model is being made. */
export type OnProgress = (share: number) => void;

interface Model {
  file: string;
  /**
   * Size of the finished file: with the producer's version it tells a whole and current file from any other.
   */
  bytes: number;
  make: (onProgress?: OnProgress) => Uint8Array;
}

export const models: Readonly<Record<ModelName, Model>> = {
  /** "input" float32 [N,3,224,224] -> "output" float32 [N,1000]. */
  resnet18: {
    file: "resnet18_-1x3x224x224.onnx",
    bytes: 46_746_216,
    make: (onProgress) => resnet18({ width: 64, size: 224, classes: 1000, onProgress }),
  },
  /** The same graph, narrow: "input" float32 [N,3,32,32] -> "output" float32 [N,10]. */
  "resnet18-small": {
    file: "resnet18-small_-1x3x32x32.onnx",
    bytes: 714_304,
    make: (onProgress) => resnet18({ width: 8, size: 32, classes: 10, onProgress }),
  },
  /** "input" float32 [N,64] -> "output" float32 [N,10]. */
  mlp: { file: "mlp_-1x64.onnx", bytes: 19_555, make: mlp },
  /** "input" float32 [N,1024] -> "output" float32 [N,1000]. */
  wide: { file: "wide_-1x1024.onnx", bytes: 100_307_319, make: wide },
};

/** `.cache/models` of this checkout. */
export const defaultFolder: string = fileURLToPath(new URL("../../.cache/models", import.meta.url));

/**
 * Path of a model's file in `folder`, which is made if it is not there, not whole, or of an older version.
 * Blocks the event loop for as long as that takes: under a second for the largest. Several processes may do
 * so at once.
 */
export async function ensureModel(
  name: ModelName,
  folder: string = defaultFolder,
  onProgress?: OnProgress,
): Promise<string> {
  const path = join(folder, models[name].file);
  if (isCurrent(path, models[name].bytes)) return path;
  mkdirSync(folder, { recursive: true });
  writeWhole(path, models[name].make(onProgress));
  return path;
}

function isCurrent(path: string, bytes: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.size !== bytes) return false;
  try {
    return checkModelFile(path).info.producer === `${producer} ${producerVersion}`;
  } catch {
    return false; // Damaged: it is made anew.
  }
}

/** Writes beside the place and renames, so that nobody ever sees half a file. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}.${performance.now().toString(36).slice(-6)}.tmp`;
  try {
    const fd = openSync(temporary, "wx");
    try {
      for (let done = 0; done < bytes.byteLength;) done += writeSync(fd, bytes, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
