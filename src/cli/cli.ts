/** Finds the subcommand, runs it, and turns what it throws into one line and an exit status. */

import { ConfigError, TrtPipeError } from "../index.ts";
import { nearest } from "../internal.ts";
import { ListenError } from "../server/listen-error.ts";
import { UsageError } from "./arguments.ts";
import { FAILED, OK, USAGE } from "./command.ts";
import { commands } from "./commands.ts";
import { INTERRUPTED, type Terminal } from "./terminal.ts";

/** The package's version; the bundler puts it in. */
declare const __VERSION__: string;

/** Resolves with the exit status: 0, 1 for a failure, 2 for a wrong command line. */
export async function cli(rawArgs: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = rawArgs;
  if (name === "--version" || name === "-v") return print(terminal, __VERSION__);
  if (name === "--help" || name === "-h") return print(terminal, overview());
  const asksHelp = rest.some((arg) => arg === "--help" || arg === "-h");
  try {
    if (name === undefined) throw new UsageError("trtpipe", "a command (see trtpipe --help)", "none");
    if (!Object.hasOwn(commands, name)) throw unknownCommand(name);
    const command = await commands[name].load();
    if (asksHelp) return print(terminal, await command.help(terminal.colours));
    return await command.run(rest, terminal);
  } catch (error) {
    return report(error, name, rest.includes("--json"), terminal);
  }
}

function print(terminal: Terminal, text: string): number {
  terminal.out(text);
  return OK;
}

function overview(): string {
  const shown = Object.entries(commands).filter(([, { hidden }]) => !hidden);
  const width = Math.max(...shown.map(([name]) => name.length));
  const lines = shown.map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
  return [
    "trtpipe: run deep-learning models fast and concurrently from TypeScript",
    "",
    "  trtpipe COMMAND [OPTIONS]",
    "  trtpipe COMMAND --help    options and examples",
    "  trtpipe --version",
    "",
    ...lines,
    "",
    "Exit status: 0 done, 1 failed, 2 the command line is wrong.",
  ].join("\n");
}

function unknownCommand(name: string): UsageError {
  const known = Object.keys(commands).filter((one) => !commands[one].hidden);
  const near = nearest(name, known);
  return new UsageError("the command", near ?? known.join(", "), JSON.stringify(name));
}

/** One line to stderr; with --json, also `{"error": ...}` to stdout. */
function report(error: unknown, name: string | undefined, json: boolean, terminal: Terminal): number {
  if (terminal.signal.aborted && error === terminal.signal.reason) return INTERRUPTED;
  const told = error instanceof Error ? error : new Error(String(error));
  terminal.note(`trtpipe${name === undefined ? "" : ` ${name}`}: ${oneLine(told)}`);
  if (json) terminal.out(JSON.stringify({ error: { ...told, name: told.name, message: told.message } }));
  return told instanceof UsageError || told instanceof ConfigError ? USAGE : FAILED;
}

/** Known errors as one line. Anything else is a fault of trtpipe's own, and its stack is wanted. */
function oneLine(error: Error): string {
  const ours = error instanceof TrtPipeError || error instanceof UsageError || error instanceof ListenError;
  const known = ours || "errno" in error;
  if (!known) return error.stack ?? error.message;
  return error.message.replaceAll(/\s*\n\s*/g, "; ");
}
