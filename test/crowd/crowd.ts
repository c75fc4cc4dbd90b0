/** A server that honest clients ask, while others are slow, fat, or lie: what becomes of the honest ones. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../tidy/sources.ts";
import { askHonestly } from "./healthy.ts";

export interface CrowdOptions {
  /** Command and its first arguments: those that run a script of JavaScript, and one of TypeScript. */
  server: readonly string[];
  clients: readonly string[];
  seconds: number;
  /** Connections that drip. */
  dripping: number;
}

export interface Figures {
  requests: number;
  failures: string[];
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Of the server's process: before, and the most at any time. */
  beforeMib: number;
  peakMib: number;
  /** By kind of client, then by status. */
  statuses: Record<string, Record<string, number>>;
  /** Bytes of bodies that the server still counts afterwards. */
  bufferedBytes: number;
}

const P99_MS_MAX = 500;
/** What all bodies together may take (`--max-buffered`, 512), and half as much that is not collected yet. */
const GROWTH_MIB_MAX = 768;

const PATH = "/v2/models/echo/infer";

export async function crowd(options: CrowdOptions): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), "trtpipe-crowd-"));
  const config = join(folder, "models.toml");
  writeFileSync(config, '[echo]\nbackend = "(shape=4)Identity"\nmax = 4\ninstance_num = 2\n');
  const [command, ...flags] = options.server;
  const args = [...flags, join(root, "dist", "cli.js"), "serve", config, "--port", "0", "--grpc-port", "off"];
  const server = spawn(command, [...args, "--json", "--log-level", "warn"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const end = (): boolean => server.kill("SIGKILL");
  process.once("exit", end);
  try {
    return await measure(server, await portOf(server), options);
  } finally {
    process.off("exit", end);
    end();
    rmSync(folder, { recursive: true });
  }
}

async function measure(server: ChildProcess, port: number, options: CrowdOptions): Promise<Figures> {
  await askHonestly(port, PATH, 1);
  const beforeMib = memoryMib(server, "VmRSS");
  const attack = startAttack(port, options);
  const { tookMs, failures } = await askHonestly(port, PATH, options.seconds);
  const statuses = await attack;
  const peakMib = memoryMib(server, "VmHWM");
  // They are all gone, and nothing of theirs is left.
  failures.push(...(await askHonestly(port, PATH, 0.5)).failures);
  const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)];
  return {
    requests: tookMs.length,
    failures,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: tookMs.at(-1)!,
    beforeMib,
    peakMib,
    statuses,
    bufferedBytes: await bufferedAfter(port),
  };
}

/** Bytes of bodies that are still counted when nobody sends any, after a few seconds at most. */
async function bufferedAfter(port: number): Promise<number> {
  let bytes = NaN;
  for (let look = 0; look < 50 && bytes !== 0; look++) {
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    bytes = Number(/^trtpipe_buffered_bytes (\d+)$/m.exec(metrics)?.[1]);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return bytes;
}

/** What is wrong with them; empty if nothing is. */
export function faultsOf(figures: Figures, p99MsMax: number = P99_MS_MAX): string[] {
  const { failures, p99Ms, beforeMib, peakMib, statuses, bufferedBytes } = figures;
  const faults: string[] = [];
  if (failures.length > 0) faults.push(`${failures.length} honest requests failed: ${failures[0]}`);
  if (!(p99Ms < p99MsMax)) faults.push(`p99 is ${p99Ms.toFixed(0)} ms, not below ${p99MsMax}`);
  const grownMib = peakMib - beforeMib;
  if (!(grownMib < GROWTH_MIB_MAX)) faults.push(`memory grew by ${grownMib.toFixed(0)} MiB`);
  if (bufferedBytes !== 0) faults.push(`${bufferedBytes} bytes of bodies are left`);
  for (const [kind, allowed] of Object.entries(ALLOWED)) {
    const counts = Object.entries(statuses[kind] ?? {});
    // Who drips may outlast a short run.
    if (counts.length === 0 && kind !== "drip") faults.push(`no client was seen to its end: ${kind}`);
    for (const [status, count] of counts) {
      if (!allowed.test(status)) faults.push(`${kind}: ${count} were answered with ${status}`);
    }
  }
  return faults;
}

/**
 * What each kind may be told: its own fault, or that memory is full. Who still sends when the connection is
 * closed may not get to read why, and who leaves is told nothing.
 */
const ALLOWED: Readonly<Record<string, RegExp>> = {
  drip: /^(408|closed)$/,
  "1 GiB in chunks": /^(413|503)$/,
  "zip bomb": /^(413|503)$/,
  "lying lengths": /^(400|413|closed)$/,
  "JSON 250 000 deep": /^400$/,
};

function memoryMib({ pid }: ChildProcess, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
}

/** A process of their own, so that honest clients are not held up by them. Resolves with the statuses. */
function startAttack(
  port: number,
  { clients, seconds, dripping }: CrowdOptions,
): Promise<Figures["statuses"]> {
  const [command, ...flags] = clients;
  const script = join(root, "test", "crowd", "attack.ts");
  const child = spawn(command, [...flags, script, String(port), PATH, String(seconds), String(dripping)], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const timer = setTimeout(() => child.kill("SIGKILL"), (2 * seconds + 60) * 1000);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(out) as Figures["statuses"]);
      else reject(new Error(`The clients ended with ${code}`));
    });
  });
}

/** From the line that the server prints when it is ready. */
function portOf(server: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    server.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) resolve(Number(new URL((JSON.parse(text) as { http: string }).http).port));
    });
    server.once("error", reject);
    server.once("close", (code) => reject(new Error(`The server ended with ${code}`)));
  });
}
