/** Where and with what a run was made, and how much of the machine others used meanwhile. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import { RUNTIME_PATHS } from "./process.ts";
import type { Runtime } from "./process.ts";

/** Lines for a person: machine, runtimes, packages, date. */
export function machineLines(runtimes: readonly Runtime[], packages: readonly string[]): string[] {
  const cores = os.availableParallelism();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  const versions = runtimes.map((runtime) => `${runtime} ${runtimeVersion(runtime)}`);
  return [
    `${os.cpus()[0]?.model.trim()}, ${cores} cores, ${memory} GiB, ${os.type()} ${os.release()} ${os.arch()}`,
    [...versions, ...packages.map((name) => `${name} ${packageVersion(name)}`)].join(", "),
    new Date().toISOString(),
  ];
}

function runtimeVersion(runtime: Runtime): string {
  if (runtime === "node") return process.versions.node;
  try {
    const text = execFileSync(RUNTIME_PATHS[runtime], ["--version"], { encoding: "utf8" });
    return /\d+\.\d+\.\d+\S*/.exec(text)?.[0] ?? text.trim();
  } catch {
    return "not available";
  }
}

function packageVersion(name: string): string {
  const path = name === "trtpipe" ? "package.json" : `node_modules/${name}/package.json`;
  try {
    return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
  } catch {
    return "not installed";
  }
}

/**
 * CPU seconds since some fixed time: of the whole machine, and of this process with its children that have
 * ended.
 */
export interface CpuSeconds {
  machine: number;
  own: number;
}

const TICKS_PER_SECOND = 100;

/** undefined where there is no /proc. Time stolen by other virtual machines counts as used. */
export function cpuSeconds(): CpuSeconds | undefined {
  try {
    const machine = readFileSync("/proc/stat", "utf8").split("\n", 1)[0].split(/\s+/).slice(1).map(Number);
    const [user, nice, system, , , irq, softIrq, steal] = machine;
    // Fields follow the command's name, which is in parentheses and may hold spaces.
    const own = readFileSync("/proc/self/stat", "utf8")
      .split(") ")
      .at(-1)!
      .split(" ")
      .slice(11, 15)
      .map(Number);
    return {
      machine: (user + nice + system + irq + softIrq + steal) / TICKS_PER_SECOND,
      own: own.reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND,
    };
  } catch {
    return undefined;
  }
}
