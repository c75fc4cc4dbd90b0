/**
 * What every subcommand shares: arguments, `--help` with examples, `--json`, exit status. A file per
 * subcommand exports `command`, made here, and is named in commands.ts.
 */

import { stripVTControlCharacters } from "node:util";
import { defineCommand, parseArgs, renderUsage, type ArgsDef, type ParsedArgs } from "citty";
import { checkArgs } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

export const OK = 0;
export const FAILED = 1;
export const USAGE = 2;

const shared: Shared = {
  json: { type: "boolean", description: "print one JSON value and nothing else to stdout" },
  help: { type: "boolean", alias: "h", description: "print this text" },
};

type Shared = { json: BooleanArg; help: BooleanArg };
type BooleanArg = { type: "boolean"; description: string; alias?: string };

export interface CommandSpec<T extends ArgsDef> {
  name: string;
  /** One sentence without a full stop. */
  about: string;
  /** Names in lower case with hyphens; every option has a description. */
  args: T;
  /** Command line without `trtpipe NAME`, and what it does. */
  examples: readonly (readonly [args: string, does: string])[];
  /** Resolves with the exit status; undefined is OK. What is thrown is printed as one line. */
  run(args: ParsedArgs<T & Shared>, terminal: Terminal): Promise<number | void>;
}

export interface Command {
  help(colours: boolean): Promise<string>;
  run(rawArgs: readonly string[], terminal: Terminal): Promise<number>;
}

export function makeCommand<const T extends ArgsDef>(spec: CommandSpec<T>): Command {
  const args: T & Shared = { ...spec.args, ...shared };
  return {
    async help(colours) {
      const meta = { name: `trtpipe ${spec.name}`, description: spec.about };
      const usage = await renderUsage(defineCommand({ meta, args }));
      const lines = spec.examples.map(([line, does]) => `  # ${does}\n  ${meta.name} ${line}`.trimEnd());
      const text = `${usage.trimEnd()}\n\nEXAMPLES\n\n${lines.join("\n")}`;
      return colours ? text : stripVTControlCharacters(text);
    },
    async run(rawArgs, terminal) {
      checkArgs(rawArgs, args);
      return (await spec.run(parseArgs<T & Shared>([...rawArgs], args), terminal)) ?? OK;
    },
  };
}
