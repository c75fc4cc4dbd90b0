/**
 * How the scripts run other programs and tell a person about it. Plain JavaScript: it runs before anything is
 * installed.
 */

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A message for the person who runs a script; no stack is printed. */
export class Failure extends Error {}

/**
 * Runs a program and resolves with its exit status and output. `live: true` shows the output while it comes,
 * and gives the program this terminal's input. A program that takes longer than `limitS` is ended, with all
 * it started.
 */
export function run(command, args, { env = {}, live = false, cwd = root, limitS = 0 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [live ? "inherit" : "ignore", "pipe", "pipe"],
      detached: limitS > 0,
    });
    let output = "";
    const collect = (to) => (chunk) => {
      output += chunk;
      if (live) to.write(chunk);
    };
    child.stdout.setEncoding("utf8").on("data", collect(process.stdout));
    child.stderr.setEncoding("utf8").on("data", collect(process.stderr));
    const release = limitS > 0 ? limit(child, limitS) : () => "";
    child.on("error", (error) => resolve({ status: 127, output: error.message }));
    child.on("close", (code, signal) => {
      const note = release();
      output += note;
      if (live) process.stdout.write(note);
      resolve({ status: code ?? 128 + constants.signals[signal], output });
    });
  });
}

/**
 * Ends the child's whole process group after `limitS` seconds, and with this process. Returns what gives that
 * up.
 */
function limit(child, limitS) {
  let note = "";
  const end = () => process.kill(-child.pid, "SIGKILL");
  const interrupted = () => {
    end();
    process.exit(130);
  };
  const timer = setTimeout(() => {
    note = `\nended after ${limitS} s\n`;
    end();
  }, limitS * 1000);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, interrupted);
  return () => {
    clearTimeout(timer);
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, interrupted);
    return note;
  };
}

/** Runs a program in this terminal, as if it had been called there, and resolves with its exit status. */
export function handOver(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: "inherit" });
    child.on("error", (error) => {
      process.stderr.write(`Cannot run ${command}: ${error.message}\n`);
      resolve(127);
    });
    child.on("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** Says what takes longer than a second, and how long it took: `installing packages ... 31 s`, to stderr. */
export async function step(label, work) {
  const startMs = performance.now();
  const seconds = () => `${((performance.now() - startMs) / 1000).toFixed(0)} s`;
  const live = process.stderr.isTTY === true;
  let shown = false;
  const show = () => {
    if (live) process.stderr.write(`\r${label} ... ${seconds()} `);
    else if (!shown) process.stderr.write(`${label} ... `);
    shown = true;
  };
  const timer = setInterval(show, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (shown) process.stderr.write(live ? `\r${label} ... ${seconds()}\n` : `${seconds()}\n`);
  }
}

/** A step that is one program; its output is shown only if it fails. */
export async function stepRun(label, command, args, options) {
  const { status, output } = await step(label, () => run(command, args, options));
  if (status === 0) return output;
  const tail = output.trimEnd().split("\n").slice(-40).join("\n");
  throw new Failure(
    `Cannot finish ${label}: "${[command, ...args].join(" ")}" ended with ${status}\n${tail}`,
  );
}

/** Runs a script's main function; a Failure is printed as it is, and anything else with its stack. */
export async function main(body) {
  try {
    process.exitCode = (await body(process.argv.slice(2))) ?? 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Failure ? error.message : error?.stack}\n`);
    process.exitCode = 1;
  }
}
