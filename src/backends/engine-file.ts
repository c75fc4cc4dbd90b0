/** A file that holds an engine: one of trtpipe's containers (csrc/tensorrt_cache.c), or a bare plan. */

import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const HEAD_BYTES = 56;
const KEY_BYTES_MAX = 64 * 1024;
const CHUNK_BYTES = 1 << 20;

export interface EngineFile {
  bytes: number;
  planBytes: number;
  /** The first bytes of the plan: what TensorRT itself tells a plan by. */
  planMagic: string;
  /** null: a bare plan. */
  container: {
    format: number;
    /** What the engine was built for and from. */
    key: Readonly<Record<string, string>>;
    sha256: string;
    /** Whether the file is what was written: its lengths and its hash say so. */
    whole: boolean;
  } | null;
}

/** What a file says of itself if it holds an engine, else null. Throws the system's error. */
export function inspectEngineFile(path: string): EngineFile | null {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const head = readAt(fd, 0, Math.min(HEAD_BYTES, size));
    if (head.toString("latin1", 0, 8) === "TRTPIPE\0") return container(fd, size, head);
    const planMagic = head.toString("latin1", 0, 4);
    if (!/^[fpv]trt$/.test(planMagic)) return null;
    return { bytes: size, planBytes: size, planMagic, container: null };
  } finally {
    closeSync(fd);
  }
}

function container(fd: number, bytes: number, head: Buffer): EngineFile {
  const cut = head.length < HEAD_BYTES;
  const [format, keyBytes] = cut ? [0, 0] : [head.readUInt32LE(8), head.readUInt32LE(12)];
  const planBytes = cut ? 0 : Number(head.readBigUInt64LE(16));
  const fits = !cut && keyBytes <= KEY_BYTES_MAX && HEAD_BYTES + keyBytes + planBytes === bytes;
  const sha256 = cut ? "" : head.toString("hex", 24, HEAD_BYTES);
  const key = fits ? readAt(fd, HEAD_BYTES, keyBytes).toString("utf8") : "";
  const start = fits ? readAt(fd, HEAD_BYTES + keyBytes, Math.min(4, planBytes)) : Buffer.alloc(0);
  return {
    bytes,
    planBytes,
    planMagic: start.toString("latin1"),
    container: { format, key: pairs(key), sha256, whole: fits && hashFrom(fd, HEAD_BYTES, bytes) === sha256 },
  };
}

function pairs(key: string): Record<string, string> {
  const lines = key.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

function hashFrom(fd: number, offset: number, end: number): string {
  const hash = createHash("sha256");
  for (let at = offset; at < end; at += CHUNK_BYTES)
    hash.update(readAt(fd, at, Math.min(CHUNK_BYTES, end - at)));
  return hash.digest("hex");
}

/** Fewer bytes than asked for where the file ends. */
function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  for (let got = -1; done < length && got !== 0; done += got) {
    got = readSync(fd, bytes, done, length - done, offset + done);
  }
  return bytes.subarray(0, done);
}
