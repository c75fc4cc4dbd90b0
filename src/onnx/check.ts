/**
 * Looks at a model before an engine does: the engines' own answers to a bad file are one text for everything,
 * and they trust the paths that a file names. Blocks while it reads; call it on an instance thread.
 */

import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { dirname, resolve } from "node:path";

import { ModelLoadError } from "../errors.ts";
import { checkExternalData } from "./external-data.ts";
import { inspect } from "./inspect.ts";
import { firstBytes, looksLike, looksLikeBytes } from "./looks-like.ts";
import type { ModelInfo } from "./model-info.ts";
import { BytesSource, FileSource, WireError } from "./wire-reader.ts";
import type { ByteSource } from "./wire-reader.ts";

/** A protobuf message, and so an ONNX file, ends here. */
export const modelMaxBytes: number = 2 ** 31 - 1;

export interface CheckedModel {
  /** Absolute path of the file; empty for a model given as bytes. */
  path: string;
  /** Size of the model itself, without external data. */
  bytes: number;
  info: ModelInfo;
}

/**
 * Checks the ONNX file at `path` and the files that it names. Never waits for a device or a pipe. Throws
 * ModelLoadError of stage "open" (it cannot be read: the system's error is in `cause`) or "parse" (it is not
 * an ONNX model, or names external data that lies outside its folder or is not whole).
 */
export function checkModelFile(path: string): CheckedModel {
  const model = readModelFile(path);
  checkExternalData(path, dirname(model.path), model.info.externalData);
  return model;
}

/** The same without a look at the files that the model names. */
export function readModelFile(path: string): CheckedModel {
  const { fd, bytes } = openModel(path);
  try {
    const info = parse(path, `model ${JSON.stringify(path)}`, new FileSource(fd, bytes));
    return { path: resolve(path), bytes, info };
  } finally {
    closeSync(fd);
  }
}

/**
 * The same for a model that is in memory, which has no folder and so no external data. Throws ModelLoadError.
 */
export function checkModelBytes(model: Uint8Array): CheckedModel {
  const bytes = model.byteLength;
  if (bytes > modelMaxBytes)
    throw new ModelLoadError("bytes", "open", `Cannot open the model's bytes: ${tooLarge(bytes)}`);
  const info = parse("bytes", "the model's bytes", new BytesSource(model));
  const external = info.externalData[0];
  if (external) {
    const names = `initializer ${JSON.stringify(external.name)} is in ${JSON.stringify(external.location)}`;
    const text = `Cannot use the model's bytes: ${names}, and external data needs a model given by its path`;
    throw new ModelLoadError("bytes", "parse", text);
  }
  return { path: "", bytes, info };
}

function openModel(path: string): { fd: number; bytes: number } {
  const stat = attempt(path, () => statSync(path));
  refuse(path, stat);
  // What was a file may be a pipe by now: O_NONBLOCK keeps the open from waiting for its other end.
  const fd = attempt(path, () => openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)));
  try {
    const opened = attempt(path, () => fstatSync(fd));
    refuse(path, opened);
    return { fd, bytes: opened.size };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Throws ModelLoadError unless `stat` is of a file that can be a model. */
function refuse(path: string, stat: Stats): void {
  const kind = notAFile(stat);
  if (kind) throw openError(path, `it is ${kind}, not a file`);
  if (stat.size > modelMaxBytes) throw openError(path, tooLarge(stat.size));
}

function notAFile(stat: Stats): string | null {
  if (stat.isFile()) return null;
  if (stat.isDirectory()) return "a directory";
  if (stat.isFIFO()) return "a pipe (FIFO)";
  if (stat.isSocket()) return "a socket";
  return stat.isCharacterDevice() || stat.isBlockDevice() ? "a device" : "something else";
}

function tooLarge(bytes: number): string {
  return `it has ${bytes} bytes, and an ONNX file ends at ${modelMaxBytes}; more weights go to external data`;
}

const reasons = new Map([
  ["ENOENT", "no such file"],
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["ENOTDIR", "a part of the path is not a directory"],
  ["ELOOP", "too many symbolic links"],
  ["ENAMETOOLONG", "the name is too long"],
  ["EMFILE", "too many open files"],
]);

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const code = String((cause as { code?: unknown }).code ?? (cause as Error).message);
    const reason = reasons.get(code);
    // A relative path means nothing without the folder that it starts from.
    const where =
      code === "ENOENT" && resolve(path) !== path ? `, looked for ${JSON.stringify(resolve(path))}` : "";
    throw openError(path, reason ? `${reason} (${code})${where}` : code, cause);
  }
}

function openError(path: string, reason: string, cause?: unknown): ModelLoadError {
  const options = cause === undefined ? undefined : { cause };
  return new ModelLoadError(path, "open", `Cannot open model ${JSON.stringify(path)}: ${reason}`, options);
}

/** `what` is the model as the error's text names it. */
function parse(path: string, what: string, source: ByteSource): ModelInfo {
  try {
    return inspect(source);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    const text = `Cannot parse ${what} (${source.bytes} bytes): ${explain(source, cause)}`;
    throw new ModelLoadError(path, "parse", text, { cause });
  }
}

function explain(source: ByteSource, error: WireError): string {
  const start = source.view(0, Math.min(source.bytes, looksLikeBytes));
  // An ONNX file begins with its format version: field 1, a small number.
  const onnxStart = start.length > 0 && start[0] === 0x08 && !(start[1]! >= 0x80);
  const likeness = onnxStart ? null : looksLike(start);
  if (likeness) return `it looks like ${likeness}`;
  if (onnxStart && error.truncated) return `the file is cut off: ${error.message}`;
  if (onnxStart) return `the file is damaged: ${error.message}`;
  return `it is not an ONNX model: it begins with ${firstBytes(start)}, and ${error.message}`;
}
