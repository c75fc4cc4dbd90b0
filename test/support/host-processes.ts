/** The child processes of `Process[X]`, as the system sees them. */

import { readdirSync, readFileSync } from "node:fs";

/** Those that `parent` has started and not yet taken the exit of: zombies count. */
export function hostProcesses(parent: number = process.pid): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 0)
    .filter((pid) => {
      const found = stat(pid);
      return found?.parent === parent && found.name === "trtpipe-host";
    });
}

/** Whether the process is there and can still do something. */
export function isAlive(pid: number): boolean {
  const found = stat(pid);
  return found !== undefined && found.state !== "Z" && found.state !== "X";
}

interface Stat {
  name: string;
  state: string;
  parent: number;
}

function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name is in brackets, and may hold some itself.
    const [open, close] = [text.indexOf("("), text.lastIndexOf(")")];
    const [state, parent] = text.slice(close + 2).split(" ");
    return { name: text.slice(open + 1, close), state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
