/** Files as Magika's input, and its output as kinds of files. */

import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";

/** The part of magika.config.json that is used here. */
export interface MagikaConfig {
  /** How many bytes of a file's start and of its end the model sees. */
  beg_size: number;
  end_size: number;
  /** How many are read at either side before blanks are taken off. */
  block_size: number;
  /** Fewer bytes than this say nothing. */
  min_file_size_for_dl: number;
  /** Stands for "no byte". */
  padding_token: number;
  target_labels_space: readonly string[];
  /** Labels that are called otherwise in an answer. */
  overwrite_map: Readonly<Record<string, string>>;
  /** Score from which on a label is to be believed: for some labels, and for all others. */
  thresholds: Readonly<Record<string, number>>;
  medium_confidence_threshold: number;
}

export interface FileKind {
  /** e.g. "typescript". */
  label: string;
  /** 0..1. */
  score: number;
  /** Whether the score reaches what this label needs. */
  sure: boolean;
}

export function magikaConfig(): MagikaConfig {
  const url = new URL("data/magika.config.json", import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as MagikaConfig;
}

/**
 * The model's input for a file, int32 [beg_size + end_size]; or the answer, where it takes no model: a file
 * that is empty or of a few bytes. Rejects with the system's error if the file cannot be read.
 */
export async function magikaFeatures(
  path: string,
  config: MagikaConfig,
): Promise<Int32Array<ArrayBuffer> | FileKind> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size === 0) return { label: "empty", score: 1, sure: true };
    const start = new Uint8Array(Math.min(size, config.block_size));
    const end = new Uint8Array(start.length);
    await readFully(file, start, 0);
    await readFully(file, end, size - end.length);
    return features(start, end, config);
  } finally {
    await file.close();
  }
}

type File = Awaited<ReturnType<typeof open>>;

async function readFully(file: File, to: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < to.length;) {
    const { bytesRead } = await file.read(to, done, to.length - done, position + done);
    if (bytesRead === 0) throw new Error("Cannot read the file: it became shorter meanwhile");
    done += bytesRead;
  }
}

/** `start` and `end`: the first and the last `block_size` bytes, or all of a smaller file. */
function features(
  start: Uint8Array,
  end: Uint8Array,
  config: MagikaConfig,
): Int32Array<ArrayBuffer> | FileKind {
  const first = trimStart(start).subarray(0, config.beg_size);
  if (first.length < config.min_file_size_for_dl) return fewBytes(start);
  const trimmed = trimEnd(end);
  const last = trimmed.subarray(Math.max(0, trimmed.length - config.end_size));
  const row = new Int32Array(config.beg_size + config.end_size).fill(config.padding_token);
  row.set(first, 0);
  row.set(last, row.length - last.length);
  return row;
}

function fewBytes(bytes: Uint8Array): FileKind {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { label: "txt", score: 1, sure: true };
  } catch {
    return { label: "unknown", score: 1, sure: true };
  }
}

/** Tab, line feed, vertical tab, form feed, carriage return, space. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function trimStart(bytes: Uint8Array): Uint8Array {
  const at = bytes.findIndex((byte) => !isBlank(byte));
  return bytes.subarray(at === -1 ? bytes.length : at);
}

function trimEnd(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => !isBlank(byte)) + 1);
}

/** The likeliest kind, from one row of the model's output: a score for each label. */
export function fileKind(scores: ArrayLike<number>, config: MagikaConfig): FileKind {
  const labels = config.target_labels_space;
  let best = 0;
  for (let i = 1; i < labels.length; i++) if (scores[i]! > scores[best]!) best = i;
  const [label, score] = [labels[best]!, scores[best]!];
  const needed = config.thresholds[label] ?? config.medium_confidence_threshold;
  return { label: config.overwrite_map[label] ?? label, score, sure: score >= needed };
}
