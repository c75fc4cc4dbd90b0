/** What citty lets pass: unknown options, missing values, surplus arguments. */

import type { ArgsDef } from "citty";
import { nearest } from "../internal.ts";

/** The command line is wrong. Ends with exit status 2. */
export class UsageError extends Error {
  readonly field: string;
  readonly expected: string;
  readonly got: string;

  constructor(field: string, expected: string, got: string) {
    super(`Cannot use ${field}: expected ${expected}, got ${got}`);
    this.name = "UsageError";
    this.field = field;
    this.expected = expected;
    this.got = got;
  }
}

/** Throws UsageError unless each argument is one that `args` names. */
export function checkArgs(rawArgs: readonly string[], args: ArgsDef): void {
  const positionals: string[] = [];
  for (let i = 0; i < rawArgs.length; i++) {
    if (rawArgs[i] === "--") {
      positionals.push(...rawArgs.slice(i + 1));
      break;
    }
    if (!rawArgs[i].startsWith("-") || rawArgs[i] === "-") positionals.push(rawArgs[i]);
    else if (takesNext(rawArgs[i], rawArgs[i + 1], args)) i += 1;
  }
  checkPositionals(positionals, args);
}

/** Checks one option, and says whether the next argument is its value. */
function takesNext(arg: string, next: string | undefined, args: ArgsDef): boolean {
  const [name, value] = split(arg);
  const definition = Object.entries(args).find(
    ([key, { type }]) => key === name && type !== "positional",
  )?.[1];
  if (definition === undefined) {
    if (Object.values(args).some((one) => "alias" in one && `-${String(one.alias)}` === arg)) return false;
    throw unknownOption(name, args);
  }
  if (definition.type === "boolean") {
    if (value === undefined) return false;
    throw new UsageError(`--${name}`, "no value", JSON.stringify(value));
  }
  const given = value ?? next;
  if (given === undefined || given === "") throw new UsageError(`--${name}`, expectedOf(definition), "none");
  const { options } = definition as { options?: readonly string[] };
  if (options !== undefined && !options.includes(given)) {
    throw new UsageError(`--${name}`, options.join(" or "), JSON.stringify(given));
  }
  return value === undefined;
}

function split(arg: string): [name: string, value: string | undefined] {
  const at = arg.indexOf("=");
  const flag = at === -1 ? arg : arg.slice(0, at);
  return [flag.replace(/^--?/, ""), at === -1 ? undefined : arg.slice(at + 1)];
}

function unknownOption(name: string, args: ArgsDef): UsageError {
  const known = Object.keys(args).filter((key) => args[key].type !== "positional");
  const near = nearest(name, known);
  const hint = near === undefined ? known.map((key) => `--${key}`).join(", ") : `--${near}`;
  return new UsageError(`--${name}`, hint, "an unknown option");
}

function expectedOf(definition: ArgsDef[string]): string {
  const hint = definition.valueHint;
  return hint === undefined ? "a value after it" : `a value after it (${hint})`;
}

function checkPositionals(given: readonly string[], args: ArgsDef): void {
  const named = Object.entries(args).filter(([, { type }]) => type === "positional");
  for (const [i, [name, { required }]] of named.entries()) {
    if (given[i] === undefined && required !== false) {
      throw new UsageError(name.toUpperCase(), args[name].description ?? "a value", "none");
    }
  }
  if (given.length > named.length) {
    const expected =
      named.length === 0 ? "no argument" : `only ${named.map(([n]) => n.toUpperCase()).join(", ")}`;
    throw new UsageError("the arguments", expected, JSON.stringify(given[named.length]));
  }
}

/** A whole number out of an option's text. */
export function numberOf(field: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(field, `a whole number from ${min} to ${max}`, JSON.stringify(text));
  }
  return value;
}
