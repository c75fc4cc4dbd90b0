/** The titles of the tests, as their files have them. */

import { join } from "node:path";
import { readFileSync } from "node:fs";
import ts from "typescript";
import { allSources, parse, root, walk } from "../tidy/sources.ts";

/** A test as the catalogue names it: `FILE > SUITE > TITLE`, the file below test/ and without its ending. */
export function testTitles(): ReadonlySet<string> {
  const files = allSources().filter(({ path }) => /^test\/.*\.test\.ts$/.test(path));
  return new Set(
    files.flatMap((source) => {
      const name = source.path.slice("test/".length, -".test.ts".length);
      return titlesIn(parse(source)).map((title) => `${name} > ${title}`);
    }),
  );
}

function titlesIn(file: ts.SourceFile): string[] {
  const found: string[] = [];
  walk(file, (node) => {
    if (isCallOf(node, "it")) found.push([...suitesOf(node), titleOf(node)].join(" > "));
  });
  return found;
}

function suitesOf(node: ts.Node): string[] {
  const suites: string[] = [];
  for (let at = node.parent; at !== undefined; at = at.parent) {
    if (isCallOf(at, "describe")) suites.unshift(titleOf(at));
  }
  return suites;
}

/** `it(title, ...)`, `it.each(...)(title, ...)`, and so on. */
function isCallOf(node: ts.Node, name: string): node is ts.CallExpression {
  if (!ts.isCallExpression(node) || node.arguments.length < 2) return false;
  let callee: ts.Expression = node.expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  return ts.isIdentifier(callee) && callee.text === name && isTitle(node.arguments[0]);
}

function isTitle(node: ts.Node): boolean {
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
}

/** What a template puts in stands as `%s`, as in a title that vitest fills in. */
function titleOf(node: ts.CallExpression): string {
  const [title] = node.arguments;
  if (ts.isStringLiteralLike(title)) return title.text;
  if (!ts.isTemplateExpression(title)) return "";
  return title.head.text + title.templateSpans.map(({ literal }) => `%s${literal.text}`).join("");
}

/** The C tests that ctest knows, by name, and without what CMake makes of one (`_trt10`). */
export function nativeTests(): ReadonlySet<string> {
  const cmake = readFileSync(join(root, "csrc", "test", "CMakeLists.txt"), "utf8");
  const lists = [...cmake.matchAll(/foreach\(name IN ITEMS ([^)]*)\)/g)].flatMap(([, names]) =>
    names.split(/\s+/),
  );
  const single = [...cmake.matchAll(/add_trt_run\((\w+) /g)].map(([, name]) => name);
  return new Set([...lists, ...single, "exports"]);
}
