/** `trtpipe serve` as a process of its own, in the runtime that runs the tests. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { root } from "../tidy/sources.ts";
import { within } from "./pipes.ts";

export interface Begun {
  child: ChildProcess;
  /** Its exit code, once everything it printed was read. */
  ended: Promise<number | null>;
  /** What it has printed to stderr. */
  log: () => string;
  /** The first line that it prints to stdout. */
  line: Promise<string>;
}

export interface Serving extends Begun {
  port: number;
  grpcPort: number;
}

export interface Launcher {
  begin(args: readonly string[]): Begun;
  /** At free ports; resolves when it is ready. */
  serve(...args: string[]): Promise<Serving>;
  /** Exit code and log of a server that is expected to end by itself. */
  failure(...args: string[]): Promise<[number | null, string]>;
}

const flags = process.versions.deno === undefined ? [] : ["run", "-A"];
const START_MS = 20_000;

/** Starts servers in `folder()`, which `hook` (afterEach or afterAll) ends. */
export function launcher(hook: (end: () => void) => void, folder: () => string): Launcher {
  const children: ChildProcess[] = [];
  hook(() => children.splice(0).forEach((child) => child.kill("SIGKILL")));
  const begin = (args: readonly string[]): Begun => {
    const command = [...flags, join(root, "dist", "cli.js"), "serve", ...args];
    const child = spawn(process.execPath, command, { cwd: folder(), stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    return watch(child);
  };
  return {
    begin,
    serve: async (...args) => {
      const begun = begin([...args, "--port", "0", "--grpc-port", "0", "--json"]);
      return { ...begun, ...(await portsOf(begun)) };
    },
    failure: async (...args) => {
      const { ended, log } = begin(args);
      const code = await within(ended, "the server's end", START_MS);
      return [code, log()];
    },
  };
}

/** Collects what a process prints. */
export function watch(child: ChildProcess): Begun {
  let [out, log] = ["", ""];
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const line = new Promise<string>((resolve, reject) => {
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      const found = out.split("\n").find((one, i, all) => i < all.length - 1 && one.startsWith("{"));
      if (found !== undefined) resolve(found);
    });
    void ended.then((code) => reject(new Error(`The server ended with ${code}: ${log}`)));
  });
  line.catch(() => {});
  return { child, ended, log: () => log, line };
}

/** Where a server that was started with --json listens. */
export async function portsOf({ line }: Begun): Promise<{ port: number; grpcPort: number }> {
  const text = await within(line, "the server's start", START_MS);
  const { http, grpc } = JSON.parse(text) as { http: string; grpc: string | null };
  return { port: Number(new URL(http).port), grpcPort: Number(grpc?.split(":").at(-1) ?? 0) };
}

/** Not by `child.kill`: Deno then tells the signal as the reason of an end, whatever it was. */
export const terminate = ({ pid }: ChildProcess): boolean => process.kill(pid!, "SIGTERM");
