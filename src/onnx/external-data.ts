/**
 * Checks the files that a model keeps its weights in. A model is data from strangers, and a path in it must
 * not reach anything but files that lie beside it: not by `..`, not by a link. Holds for the moment of the
 * check: who can write to the model's folder while it loads can still swap a file.
 */

import { lstatSync, realpathSync } from "node:fs";
import type { Stats } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";

import { ModelLoadError } from "../errors.ts";
import type { ExternalTensor } from "./model-info.ts";

/**
 * Throws ModelLoadError (stage "parse"), naming initializer and path, unless every tensor's file is a regular
 * file under `folder` with no link in its path and no second name, and holds all of the tensor's bytes.
 * `model` is the model's path as the user gave it.
 */
export function checkExternalData(model: string, folder: string, tensors: readonly ExternalTensor[]): void {
  // Thousands of tensors share a few files.
  const sizes = new Map<string, number | string>();
  for (const tensor of tensors) {
    if (!sizes.has(tensor.location)) sizes.set(tensor.location, externalSize(folder, tensor.location));
    const size = sizes.get(tensor.location)!;
    const problem = typeof size === "string" ? size : rangeProblem(tensor, size);
    if (problem) throw externalError(model, tensor, problem);
  }
}

function externalError(model: string, tensor: ExternalTensor, problem: string): ModelLoadError {
  const path = JSON.stringify(tensor.location);
  const text = `Cannot use external data ${path} of initializer ${JSON.stringify(tensor.name)}: ${problem}`;
  return new ModelLoadError(model, "parse", text);
}

/** Size of the file in bytes, or what is wrong with it. */
function externalSize(folder: string, location: string): number | string {
  const path = pathProblem(location);
  if (path) return path;
  const full = join(folder, location);
  try {
    const stat = lstatSync(full);
    if (stat.isSymbolicLink() || realpathSync(full) !== join(realpathSync(folder), normalize(location))) {
      return "it is, or lies behind, a symbolic link";
    }
    return fileProblem(stat) ?? stat.size;
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? (error as Error).message);
    return code === "ENOENT" ? "there is no such file in the model's folder" : `it cannot be read (${code})`;
  }
}

function pathProblem(location: string): string | null {
  if (location === "") return "the model gives no path";
  if (location.includes("\0")) return "the path has a zero byte";
  if (isAbsolute(location) || /^[\\/]|^[a-z]:/i.test(location)) return "the path is absolute";
  if (location.split(/[\\/]/).includes("..")) return 'the path has ".."';
  // ONNX Runtime takes such a name for an address in its own memory.
  if (location.includes("_ORT_MEM_")) return "the path is a mark for memory, not a file";
  return null;
}

function fileProblem(stat: Stats): string | null {
  if (!stat.isFile()) return "it is not a regular file";
  return stat.nlink > 1 ? `it has ${stat.nlink} names (hard links)` : null;
}

function rangeProblem(tensor: ExternalTensor, size: number): string | null {
  const offset = naturalNumber(tensor.offset);
  if (offset === null) return `expected an offset in bytes, got ${JSON.stringify(tensor.offset)}`;
  const length = tensor.length === null ? 0 : naturalNumber(tensor.length);
  if (length === null) return `expected a length in bytes, got ${JSON.stringify(tensor.length)}`;
  const end = offset + Math.max(length, tensor.bytes ?? 0);
  return end > size ? `the tensor ends at byte ${end}, the file at byte ${size}` : null;
}

function naturalNumber(text: string): number | null {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}
