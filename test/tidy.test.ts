/** House rules that a machine can see. Each check lists every place that breaks its rule. */

import { homedir } from "node:os";
import { dirname } from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";
import { BANNED, mayImport, MAY_IMPORT, roomOf } from "./tidy/rules.ts";
import {
  allSources,
  isCode,
  lineOf,
  parse,
  relativeImports,
  root,
  walk,
  type Source,
} from "./tidy/sources.ts";

const COLUMNS_MAX = 110;
const FUNCTION_LINES_MAX = 60;
const FILE_LINES_MAX = 300;

const sources = allSources();
const code = sources.filter(({ path }) => isCode(path, ".ts", ".mjs", ".c", ".h"));
const scripts = code.filter(({ path }) => isCode(path, ".ts", ".mjs"));
const product = code.filter(({ path }) => path.startsWith("src/"));
const imports = product.flatMap(relativeImports);

/** Places in `files` where a line breaks a rule; `what` says how, or nothing. */
function places(files: readonly Source[], what: (line: string) => string | undefined): string[] {
  return files.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) => {
      const fault = what(line);
      return fault === undefined ? [] : [`${path}:${index + 1} ${fault}`];
    }),
  );
}

it("sees the sources", () => {
  expect(product.length).toBeGreaterThan(20);
  expect(scripts.length).toBeGreaterThan(product.length);
  expect(imports.length).toBeGreaterThan(product.length);
});

it("imports only what a folder may import", () => {
  expect(product.map(({ path }) => roomOf(path)).filter((room) => !Object.hasOwn(MAY_IMPORT, room))).toEqual(
    [],
  );
  const wrong = imports.filter(({ from, to, typeOnly }) => !mayImport(from, to, typeOnly));
  expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

it("imports files by their names", () => {
  const paths = new Set(product.map(({ path }) => path));
  expect(imports.filter(({ to }) => !paths.has(to)).map(({ from, to }) => `${from} imports ${to}`)).toEqual(
    [],
  );
});

it("has no import cycles", () => {
  const loaded = imports.filter(({ typeOnly }) => !typeOnly);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
    if (trail.includes(path) || done.has(path)) return;
    for (const { to } of loaded.filter(({ from }) => from === path)) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const { path } of product) visit(path, []);
  expect(cycles).toEqual([]);
});

it("touches foreign functions in src/native alone", () => {
  const foreign = /["'](koffi|bun:ffi|node:ffi)["']|\bDeno\.dlopen\b/;
  const others = product.filter(({ path }) => roomOf(path) !== "native");
  // A comment or a type may name a binding; only loading one is meant.
  const loads = /\b(import|require|getBuiltinModule|createRequire)\b/;
  expect(
    places(others, (line) => (foreign.test(line) && loads.test(line) ? line.trim() : undefined)),
  ).toEqual([]);
});

it(`keeps lines within ${COLUMNS_MAX} columns`, () => {
  const tooLong = (line: string): string | undefined => {
    const columns = [...line].length;
    return columns > COLUMNS_MAX ? `has ${columns} columns` : undefined;
  };
  expect(places(code, tooLong)).toEqual([]);
});

it(`keeps files of the product within ${FILE_LINES_MAX} lines`, () => {
  const counted = code.filter(({ path }) => /^(src|csrc|bench|examples|scripts)\//.test(path));
  // The public header is two thirds prose, and one place to read is worth more there.
  const long = counted.filter(
    ({ path, lines }) => lines.length > FILE_LINES_MAX + 1 && path !== "csrc/include/trtpipe.h",
  );
  expect(long.map(({ path, lines }) => `${path} has ${lines.length - 1} lines`)).toEqual([]);
});

it(`keeps functions within ${FUNCTION_LINES_MAX} lines`, () => {
  const long = [...scripts.flatMap(functions), ...code.flatMap(nativeFunctions)].filter(
    ({ lineCount }) => lineCount > FUNCTION_LINES_MAX,
  );
  expect(long.map(({ place, lineCount }) => `${place} has ${lineCount} lines`)).toEqual([]);
});

interface FunctionSize {
  place: string;
  lineCount: number;
}

function functions(source: Source): FunctionSize[] {
  const file = parse(source);
  const found: FunctionSize[] = [];
  walk(file, (node) => {
    if (!ts.isFunctionLike(node) || isSuite(node)) return;
    const line = lineOf(file, node);
    const last = file.getLineAndCharacterOfPosition(node.end).line + 1;
    found.push({ place: `${source.path}:${line}`, lineCount: last - line + 1 });
  });
  return found;
}

/** The function given to `describe` only holds others. */
function isSuite(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText());
}

/**
 * Functions of C, as the formatter leaves them: from a line that opens a body to the next brace in the first
 * column.
 */
function nativeFunctions({ path, lines }: Source): FunctionSize[] {
  const found: FunctionSize[] = [];
  if (!isCode(path, ".c", ".h")) return found;
  let start = -1;
  for (const [index, line] of lines.entries()) {
    if (/^\w.*\)\s*\{$/.test(line)) start = index;
    if (line === "}" && start !== -1)
      found.push({ place: `${path}:${start + 1}`, lineCount: index - start + 1 });
    if (line === "}") start = -1;
  }
  return found;
}

it("awaits every promise that it expects something of", () => {
  const forgotten = scripts.flatMap((source) => {
    const file = parse(source);
    const found: string[] = [];
    walk(file, (node) => {
      if (!ts.isExpressionStatement(node) || !ts.isCallExpression(node.expression)) return;
      if (/^expect\b[\s\S]*\.(rejects|resolves)\b/.test(node.expression.getText(file))) {
        found.push(`${source.path}:${lineOf(file, node)}`);
      }
    });
    return found;
  });
  expect(forgotten).toEqual([]);
});

it("holds no banned words", () => {
  const own = (path: string): boolean => path.startsWith("test/tidy/") || path.startsWith("examples/data/");
  const found = BANNED.flatMap(({ pattern, instead, code: codeAlone }) => {
    const searched = sources.filter(({ path }) => !own(path) && (!codeAlone || isCode(path, ".ts")));
    return places(searched, (line) => {
      const word = pattern.exec(line)?.[0];
      return word === undefined ? undefined : `"${word}": ${instead}`;
    });
  });
  expect(found).toEqual([]);
});

it("names no folder of this machine", () => {
  const folders = [root, dirname(root), homedir()].filter((folder) => folder.split("/").join("").length > 3);
  const named = (line: string): string | undefined => folders.find((folder) => line.includes(`${folder}/`));
  expect(places(sources, named)).toEqual([]);
});

it("locks packages without naming a registry", () => {
  const lock = sources.find(({ path }) => path === "package-lock.json");
  expect(lock?.text).toContain('"lockfileVersion"');
  expect(lock?.text).not.toMatch(/"resolved"|registry/);
});
