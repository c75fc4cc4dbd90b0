/** Starts one measured process and gathers what it reports. */

import { spawn } from "node:child_process";
import type { Cell } from "./child-io.ts";
import { cpuSeconds } from "./machine.ts";
import { RUNTIME_PATHS } from "./process.ts";
import type { Runtime } from "./process.ts";

/** Where the bundles of the child processes are. */
export const BUNDLES = "build/bench/js";

export interface Command {
  file: string;
  args: readonly string[];
  /** The process is ended after this time, and the run counts as failed. */
  timeoutMs: number;
}

export interface Outcome {
  cells: Cell[];
  /** Why the process did not end well; undefined if it did. */
  error: string | undefined;
  /** Cores that other processes used meanwhile, on average; undefined if the system does not tell. */
  foreignCores: number | undefined;
}

/** The command that runs a bundle in a runtime. `profile`: writes a CPU profile (Node). */
export function bundleCommand(
  runtime: Runtime,
  bundle: string,
  spec: object,
  timeoutMs: number,
  profile = false,
): Command {
  const flags = {
    node: profile ? ["--cpu-prof", "--cpu-prof-dir=build/bench/profiles"] : [],
    bun: ["run"],
    deno: ["run", "-A", "--quiet"],
  }[runtime];
  const args = [...flags, `${BUNDLES}/${bundle}.js`, JSON.stringify(spec)];
  return { file: RUNTIME_PATHS[runtime], args, timeoutMs };
}

export async function runChild(command: Command): Promise<Outcome> {
  const before = cpuSeconds();
  const startedAt = performance.now();
  const { stdout, error } = await collect(command);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = cpuSeconds();
  const foreign = before && after && (after.machine - before.machine - (after.own - before.own)) / seconds;
  const cells = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Cell);
  return { cells, error, foreignCores: foreign === undefined ? undefined : Math.max(0, foreign) };
}

function collect(command: Command): Promise<{ stdout: string; error: string | undefined }> {
  return new Promise((resolve) => {
    const child = spawn(command.file, command.args, { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    let failure: string | undefined;
    const timer = setTimeout(() => {
      failure = `did not end within ${command.timeoutMs / 1000} s`;
      child.kill("SIGKILL");
    }, command.timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", (error) => (failure = error.message));
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code !== 0) failure ??= signal ? `ended by ${signal}` : `ended with code ${code}`;
      resolve({ stdout, error: failure && `${failure}${lastLines(stderr)}` });
    });
  });
}

/** The part of a crash that says why: the first line that names an error, else the last lines. */
function lastLines(stderr: string): string {
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => line.trim() !== "");
  const named = lines.find((line) => /\b\w*Error\b.*:|^error:/i.test(line));
  const text = named ?? lines.slice(-2).join(" ");
  return text ? `: ${text.trim().slice(0, 300)}` : "";
}
