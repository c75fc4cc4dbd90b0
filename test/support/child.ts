/** Programs that run in a process of their own, in the runtime that runs the tests. */

import { spawn } from "node:child_process";
import { root } from "../tidy/sources.ts";

export interface Ended {
  /** Exit code, or null if a signal ended it. */
  code: number | null;
  signal: string | null;
  /** What it printed to stdout, line by line: how far it came. */
  lines: string[];
  stderr: string;
  /** It did not end by itself in time, and was killed. */
  hung: boolean;
}

export interface ChildOptions {
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  limitMs?: number;
  /** Called for each line, to act on a child that runs. */
  onLine?: (line: string, pid: number) => void;
}

const flags = "Deno" in globalThis ? ["run", "-A"] : [];

/** Runs a script (a path relative to the checkout) until it ends, or for `limitMs` at most. */
export function runChild(script: string, options: ChildOptions = {}): Promise<Ended> {
  const { args = [], env = {}, limitMs = 20_000, onLine } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, script, ...args], {
      cwd: root,
      env: { ...withoutRunner(), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr, hung] = ["", "", false];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const complete = stdout.split("\n").length - 1;
      stdout += text;
      for (const line of stdout.split("\n").slice(complete, -1)) onLine?.(line, child.pid!);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const timer = setTimeout(() => {
      hung = true;
      child.kill("SIGKILL");
    }, limitMs);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, lines: stdout.split("\n").filter((line) => line !== ""), stderr, hung });
    });
  });
}

/** The environment without what the test runner puts there for its own children. */
function withoutRunner(): Record<string, string | undefined> {
  const own = new Set(["NODE_OPTIONS", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "VITEST"]);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.has(name)));
}
