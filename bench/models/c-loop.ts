/** The C loop: compiled on demand, and how it is started. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import type { Command } from "../lib/run-child.ts";
import { DATA, INPUTS } from "./data.ts";
import type { ModelDescription } from "./data.ts";

/** Rows of a batch, threads of a session's pool, runs at once, and whether they share a session. */
export interface LoopSetting {
  batch: number;
  intra: number;
  runs: number;
  shared: boolean;
}

export function settingName({ batch, intra, runs, shared }: LoopSetting): string {
  return `b${batch} intra${intra} x${runs}${runs === 1 ? "" : shared ? " shared" : " own"}`;
}

const BINARY = "build/bench/ortloop";

/** Compiles the loop; the reason if that is not possible. */
export function compileLoop(): string | undefined {
  mkdirSync("build/bench", { recursive: true });
  const args = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "bench/c/ortloop.c",
    "-o",
    BINARY,
    "-lpthread",
    "-ldl",
    "-lm",
  ];
  try {
    execFileSync(process.env["CC"] ?? "cc", args, { stdio: ["ignore", "ignore", "pipe"] });
    return undefined;
  } catch (error) {
    return `cannot compile bench/c/ortloop.c: ${(error as Error).message.split("\n")[0]}`;
  }
}

/** The library that onnxruntime-node itself loads. */
export function onnxruntimeLibrary(): string {
  const bin = "node_modules/onnxruntime-node/bin";
  const file = process.platform === "darwin" ? "libonnxruntime.dylib" : "libonnxruntime.so.1";
  const found = readdirSync(bin)
    .map((napi) => `${bin}/${napi}/${process.platform}/${process.arch}/${file}`)
    .find((path) => existsSync(path));
  if (!found) throw new Error(`Cannot find ${file} in "${bin}" for ${process.platform} ${process.arch}`);
  return found;
}

export function loopCommand(
  model: ModelDescription,
  setting: LoopSetting,
  warmUpMs: number,
  measureMs: number,
): Command {
  const files = [onnxruntimeLibrary(), model.path, `${DATA}/${model.name}.in`, `${DATA}/${model.name}.out`];
  const numbers = [
    INPUTS,
    setting.batch,
    setting.intra,
    setting.runs,
    setting.shared ? 1 : 0,
    warmUpMs,
    measureMs,
  ];
  const args = [...files, model.checked.join(","), ...numbers.map(String)];
  return { file: BINARY, args, timeoutMs: 60_000 + 3 * (warmUpMs + measureMs) };
}
