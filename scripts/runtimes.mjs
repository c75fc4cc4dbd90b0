/** How each runtime runs a TypeScript file, and the test runner. */

import { join } from "node:path";
import { Failure, root } from "./run.mjs";

const bin = (name) => join(root, "node_modules", ".bin", name);
const tsx = ["--import", "tsx"];

/** `collecting`: as `file`, and the program may force a garbage collection. */
const runtimes = {
  node: { command: process.execPath, file: tsx, collecting: ["--expose-gc", ...tsx], tests: [] },
  bun: { command: bin("bun"), file: ["run"], collecting: ["run"], tests: ["--bun"] },
  deno: {
    command: bin("deno"),
    file: ["run", "-A"],
    collecting: ["run", "-A", "--v8-flags=--expose-gc"],
    tests: ["run", "-A"],
  },
};

export const runtimeNames = Object.keys(runtimes);

/** Command and arguments that run a TypeScript file of this checkout. */
export function fileCommand(runtime, file, args = [], { collects = false } = {}) {
  const { command, file: flags, collecting } = runtimes[runtime];
  return [command, [...(collects ? collecting : flags), file, ...args]];
}

/** Command and arguments that run vitest. */
export function testCommand(runtime, args) {
  const { command, tests } = runtimes[runtime];
  return [command, [...tests, join("node_modules", "vitest", "vitest.mjs"), "run", ...args]];
}

/** Takes `--NAME VALUE` or `--NAME=VALUE` out of the arguments: what is given, or undefined, and the rest. */
export function takeOption(args, name) {
  const rest = [...args];
  const at = rest.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  if (at === -1) return [undefined, rest];
  const [given] = rest.splice(at, 1);
  const value = given.includes("=") ? given.slice(given.indexOf("=") + 1) : rest.splice(at, 1)[0];
  if (!value) throw new Failure(`Cannot use --${name}: expected a value after it`);
  return [value, rest];
}

/** Takes `--runtime` out of the arguments. */
export function takeRuntime(args) {
  const [runtime, rest] = takeOption(args, "runtime");
  if (runtime !== undefined && !Object.hasOwn(runtimes, runtime)) {
    throw new Failure(`Cannot use --runtime: expected ${runtimeNames.join(", ")}, got "${runtime}"`);
  }
  return [runtime, rest];
}
