/**
 * Looks at what the machine has in processes of their own, so that what crashes or hangs while it is looked
 * at is a message here.
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const LIMIT_MS = 60_000;
/** What the program says of itself among whatever a library prints: a status and one line. */
const SAYS = "\ntrtpipe-host: ";

/** What was found, or why not. */
export type Found<T> = T | { missing: string };

export function isMissing<T extends object>(found: Found<T>): found is { missing: string } {
  return "missing" in found;
}

/** Asks the program `host` about one thing. */
export async function probe<T>(
  host: string,
  what: string,
  options: readonly (readonly [string, string])[],
): Promise<Found<T>> {
  const args = ["probe", what, ...options.map(([key, value]) => `${key}=${value}`)];
  return answer<T>(host, args, SAYS);
}

/** Loads trtpipe itself as a program would, in this runtime. */
export async function probeSelf<T>(): Promise<Found<T>> {
  const flags = "Deno" in globalThis ? ["run", "-A"] : [];
  const script = fileURLToPath(import.meta.url);
  return answer<T>(process.execPath, [...flags, script, "doctor-self"], "");
}

interface End {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  error: string;
}

async function answer<T>(command: string, args: readonly string[], says: string): Promise<Found<T>> {
  const end = await run(command, args);
  if (end.error !== "") return { missing: `cannot run ${command}: ${end.error}` };
  const said = end.stdout.slice(says === "" ? 0 : end.stdout.lastIndexOf(says) + says.length);
  const json = /^(?:0 )?(\{.*\})\s*$/s.exec(said)?.[1];
  if (end.code === 0 && json !== undefined) return JSON.parse(json) as Found<T>;
  const how = end.signal === null ? `status ${end.code}` : `signal ${end.signal}`;
  const tail = `${end.stderr}\n${said}`.trim().split("\n").slice(-3).join("; ");
  return { missing: `the process that looked for it ended with ${how}${tail === "" ? "" : `: ${tail}`}` };
}

function run(command: string, args: readonly string[]): Promise<End> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], timeout: LIMIT_MS });
    const end: End = { code: null, signal: null, stdout: "", stderr: "", error: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (end.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (end.stderr += text));
    child.once("error", ({ message }) => resolve({ ...end, error: message }));
    child.once("close", (code, signal) => resolve({ ...end, code, signal }));
  });
}
