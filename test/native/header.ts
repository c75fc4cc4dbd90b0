/** Reads csrc/include/trtpipe.h, as far as the comparison with src/native/abi.ts needs it. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Kind, Signature } from "../../src/native/abi.ts";
import { root } from "../tidy/sources.ts";

export const headerPath: string = join(root, "csrc", "include", "trtpipe.h");

export interface Declaration extends Signature {
  name: string;
  /** As the header has it, with single spaces. */
  text: string;
}

const SCALARS: Readonly<Record<string, Kind>> = {
  uint32_t: "u32",
  int32_t: "i32",
  uint64_t: "u64",
  double: "f64",
};

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, " ");
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** Every function that the header declares. */
export function declarations(header: string = readFileSync(headerPath, "utf8")): Declaration[] {
  const found = withoutComments(header).matchAll(/^(\w+) (tp_\w+)\(([^)]*)\);/gm);
  return [...found].map(([text, result, name, parameters]) => ({
    name,
    text: oneLine(text),
    parameters: parameters.trim() === "void" ? [] : parameters.split(",").map(kindOf),
    result: kindOf(result),
  }));
}

/** The kind of `const char *text`, `uint32_t cap`, or a bare result type. */
function kindOf(declared: string): Kind {
  if (declared.includes("*")) return "buffer";
  const type = oneLine(declared).split(" ")[0];
  const kind = SCALARS[type];
  if (kind === undefined) throw new Error(`The header has a type that no binding carries: "${declared}"`);
  return kind;
}

/** Every constant that the header defines, by name. */
export function constants(header: string = readFileSync(headerPath, "utf8")): Map<string, number> {
  const found = withoutComments(header).matchAll(/^#define (TP_\w+)[ \t]+\(?(-?\d+)u?\)?[ \t]*$/gm);
  return new Map([...found].map(([, name, value]) => [name, Number(value)]));
}
