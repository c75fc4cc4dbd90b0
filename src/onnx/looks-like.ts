/** Names what a file is that was given as a model, by its first bytes, for the text of an error. */

import { Buffer } from "node:buffer";

/** Bytes of a file's start that `looksLike` can make use of. */
export const looksLikeBytes = 512;

/** First bytes (latin1) of file kinds that people take for ONNX models, and what to say of them. */
/* oxlint-disable no-control-regex -- they are bytes, not text */
const signatures: readonly (readonly [start: RegExp, name: string])[] = [
  [/^\0+$/, "a file of zero bytes, as an interrupted download leaves it"],
  [/^version https:\/\/git-lfs/, 'a git-LFS pointer; "git lfs pull" fetches the model itself'],
  [/^[a-z]trt/, "a TensorRT engine; give the ONNX model that it was built from"],
  [/^....ORTM/s, "an ONNX Runtime model (.ort); give the ONNX model that it was made from"],
  [/^....TFL3/s, "a TensorFlow Lite model"],
  [/^GGUF/, "a GGUF model"],
  [/^.{8}\{"/s, "a safetensors file"],
  [/^PK\x03\x04/, "a zip archive, as PyTorch's .pt files are"],
  [/^\x80[\x02-\x05]/, "a Python pickle, as older PyTorch files are"],
  [/^\x89HDF/, "an HDF5 file, as Keras models are"],
  [/^\x1f\x8b/, "a gzip archive"],
  [/^(?:\x28\xb5\x2f\xfd|\xfd7zXZ|7z\xbc\xaf|BZh)/, "a compressed archive"],
  [/^.{257}ustar/s, "a tar archive"],
  [/^\x7fELF/, "an executable or library"],
  [/^\s*(?:<!doctype html|<html|<head)/i, "an HTML page, as a failed download leaves it"],
  [/^\s*<(?:\?xml|Error>)/, "an XML document"],
  [/^\s*(?:\{\s*["}]|\[[\s\S]*["[{\]])/, "JSON text"],
  [/^[\t\n\r\x20-\x7e]+$/, "plain text"],
];
/* oxlint-enable no-control-regex */

/**
 * What a file that is not an ONNX model looks like, as the end of "it looks like ..."; null if it is nothing
 * known. `bytes` is its start; `looksLikeBytes` of it are enough.
 */
export function looksLike(bytes: Uint8Array): string | null {
  const start = bytes.subarray(0, looksLikeBytes);
  if (start.length === 0) return "an empty file";
  const text = Buffer.from(start.buffer, start.byteOffset, start.length)
    .toString("latin1")
    .replace(/^\xef\xbb\xbf/, "");
  return signatures.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** The first bytes in hex, for a file of which nothing better can be said. */
export function firstBytes(bytes: Uint8Array): string {
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0"));
  return start.join(" ");
}
