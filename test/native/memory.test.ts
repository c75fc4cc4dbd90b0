/** What a process has freed goes back to the system when a model is closed. */

import { readFileSync } from "node:fs";
import koffi from "koffi";
import { expect, it } from "vitest";
import { loadNative } from "../../src/native/load.ts";
import { thisRuntime } from "./this-runtime.ts";

const PIECES = 1000;
/** Below the size from which on glibc takes a mapping for each piece. */
const PIECE_BYTES = 65_536;

function rssBytes(): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return Number(kib) * 1024;
}

/** glibc's, if this process has it: Bun and Deno bring allocators of their own. */
const isGlibc = thisRuntime === "node" && /\/libc\.so\.6$/m.test(readFileSync("/proc/self/maps", "utf8"));

it.skipIf(!isGlibc)("below a piece that is still in use, too", () => {
  const libc = koffi.load("libc.so.6");
  const malloc = libc.func("void *malloc(size_t)") as (bytes: number) => unknown;
  const memset = libc.func("void *memset(void *, int, size_t)") as (...all: unknown[]) => unknown;
  const free = libc.func("void free(void *)") as (piece: unknown) => void;
  const native = loadNative();
  const model = native.openModel([
    ["backend", "Identity"],
    ["shape", "1"],
  ]);
  const pieces = Array.from({ length: PIECES }, () => malloc(PIECE_BYTES));
  for (const piece of pieces) memset(piece, 1, PIECE_BYTES);
  const last = pieces.pop();
  for (const piece of pieces) free(piece);
  const before = rssBytes();
  native.closeModel(model);
  const gone = before - rssBytes();
  free(last);
  expect(gone).toBeGreaterThan((PIECES * PIECE_BYTES) / 2);
});
