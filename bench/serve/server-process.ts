/** The server that is measured: started, watched and ended with everything that it started itself. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";

const END_MS = 10_000;
const TICKS_PER_SECOND = 100;

export interface ServerCommand {
  file: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #log = "";
  #status: string | undefined;

  /** It is the head of a session of its own, by which its processes are found. */
  constructor({ file, args, env }: ServerCommand) {
    const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
    this.#child = spawn(file, args, { stdio, env: { ...process.env, ...env }, detached: true });
    const keep = (text: string): void => void (this.#log = (this.#log + text).slice(-4000));
    this.#child.stdout?.setEncoding("utf8").on("data", keep);
    this.#child.stderr?.setEncoding("utf8").on("data", keep);
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#status = error.message;
        resolve();
      });
      this.#child.once("exit", (code, signal) => {
        this.#status ??= signal ? `ended by ${signal}` : `ended with code ${code}`;
        resolve();
      });
    });
  }

  /** Throws if it is gone, with what it last said. */
  assertRuns(): void {
    if (this.#status !== undefined) throw new Error(`The server ${this.#status}: ${this.lastWords()}`);
  }

  lastWords(): string {
    return this.#log.trim().split("\n").slice(-3).join(" ").slice(-400);
  }

  /** CPU seconds and memory of all its processes. What they share counts once, with the one that has most. */
  usage(): { cpuSeconds: number; memoryMb: number } {
    let ticks = 0;
    let own = 0;
    let shared = 0;
    for (const pid of this.#pids()) {
      ticks += statOf(pid)
        .slice(11, 13)
        .reduce((sum, text) => sum + Number(text), 0);
      const memory = memoryOf(pid);
      own += memory.own;
      shared = Math.max(shared, memory.shared);
    }
    return { cpuSeconds: ticks / TICKS_PER_SECOND, memoryMb: (own + shared) / 1024 };
  }

  #pids(): number[] {
    const session = String(this.#child.pid);
    const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return all.map(Number).filter((pid) => statOf(pid)[3] === session);
  }

  /** Asks it to end, and after some seconds ends it. */
  async end(): Promise<void> {
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), END_MS);
    await this.#ended;
    clearTimeout(timer);
    // What it left behind.
    this.kill();
  }

  kill(): void {
    this.#kill("SIGKILL");
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // All are gone.
    }
  }
}

/** Fields behind the command's name, which is in parentheses; none if the process is gone. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  } catch {
    return [];
  }
}

/** Resident KiB that a process has alone, and that it shares with any other. */
function memoryOf(pid: number): { own: number; shared: number } {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const kib = (key: string): number =>
      Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
    const own = kib("Private_Clean") + kib("Private_Dirty");
    return { own, shared: kib("Rss") - own };
  } catch {
    return { own: 0, shared: 0 };
  }
}

/** A port that nobody listened at a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
