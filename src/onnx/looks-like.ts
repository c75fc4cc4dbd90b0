/** Names what a file is that was given as a model, by its first bytes, for the text of an error. */

import { Buffer } from "node:buffer";

/** Bytes of a file's start that `looksLike` can make use of. */
export const looksLikeBytes = 512;

type Signature = readonly [start: RegExp, name: string];

/**
 * Kinds of binary files that are taken for ONNX models, by their first bytes in hex, and what to say of them.
 */
const binaries: readonly Signature[] = [
  [/^(?:00)+$/, "a file of zero bytes, as an interrupted download leaves it"],
  // "ftrt", "ptrt", "vtrt"
  [/^[67].747274/, "a TensorRT engine; give the ONNX model that it was built from"],
  // "ORTM" and "TFL3" after an offset
  [/^.{8}4f52544d/, "an ONNX Runtime model (.ort); give the ONNX model that it was made from"],
  [/^.{8}54464c33/, "a TensorFlow Lite model"],
  [/^47475546/, "a GGUF model"],
  // A length, then JSON.
  [/^.{16}7b22/, "a safetensors file"],
  [/^504b0304/, "a zip archive, as PyTorch's .pt files are"],
  [/^800[2-5]/, "a Python pickle, as older PyTorch files are"],
  [/^89484446/, "an HDF5 file, as Keras models are"],
  [/^1f8b/, "a gzip archive"],
  // zstd, xz, 7z, bzip2
  [/^(?:28b52ffd|fd377a585a|377abcaf|425a68)/, "a compressed archive"],
  // "ustar"
  [/^.{514}7573746172/, "a tar archive"],
  [/^7f454c46/, "an executable or library"],
];

const texts: readonly Signature[] = [
  [/^version https:\/\/git-lfs/, 'a git-LFS pointer; "git lfs pull" fetches the model itself'],
  [/^\s*(?:<!doctype html|<html|<head)/i, "an HTML page, as a failed download leaves it"],
  [/^\s*<(?:\?xml|Error>)/, "an XML document"],
  [/^\s*(?:\{\s*["}]|\[[^]*["[{\]])/, "JSON text"],
  [/^[\s\x20-\x7e]+$/, "plain text"],
];

/**
 * What a file that is not an ONNX model looks like, as the end of "it looks like ..."; null if it is nothing
 * known. `bytes` is its start; `looksLikeBytes` of it are enough.
 */
export function looksLike(bytes: Uint8Array): string | null {
  const start = bytes.subarray(0, looksLikeBytes);
  if (start.length === 0) return "an empty file";
  const first = Buffer.from(start.buffer, start.byteOffset, start.length);
  const hex = first.toString("hex");
  const text = first.toString("latin1").replace(/^\xef\xbb\xbf/, "");
  const known = binaries.find(([begin]) => begin.test(hex)) ?? texts.find(([begin]) => begin.test(text));
  return known?.[1] ?? null;
}

/** The first bytes in hex, for a file of which nothing better can be said. */
export function firstBytes(bytes: Uint8Array): string {
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0"));
  return start.join(" ");
}
