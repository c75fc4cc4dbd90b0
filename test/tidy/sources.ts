/** The checkout's files as the tidiness rules look at them. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, extname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface Source {
  /** Relative to the checkout. */
  path: string;
  text: string;
  lines: readonly string[];
}

const TEXT = new Set([".ts", ".mjs", ".c", ".h", ".json", ".md", ".txt", ".map", ".yml", ".sh", ""]);

/** Every text file that is committed or would be, without generated ones. */
export function allSources(): Source[] {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  const paths = listed.split("\n").filter((path) => path !== "" && TEXT.has(extname(path)));
  return paths.flatMap((path) => {
    const text = readOrMissing(join(root, path));
    return text === undefined ? [] : [{ path, text, lines: text.split("\n") }];
  });
}

/** A file that git still lists may have been removed from the folder. */
function readOrMissing(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Whether a path has one of the endings. */
export function isCode(path: string, ...endings: string[]): boolean {
  return endings.includes(extname(path));
}

export function parse(source: Source): ts.SourceFile {
  return ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest, true);
}

/** Calls `visit` for a node and all below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

export function lineOf(file: ts.SourceFile, node: ts.Node): number {
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
}

export interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

/** Imports and re-exports of a file's own kind: relative ones, resolved to paths of the checkout. */
export function relativeImports(source: Source): Import[] {
  const found: Import[] = [];
  walk(parse(source), (node) => {
    if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return;
    const { moduleSpecifier } = node;
    if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return;
    if (!moduleSpecifier.text.startsWith(".")) return;
    const to = posix.join(posix.dirname(source.path), moduleSpecifier.text);
    found.push({ from: source.path, to, typeOnly: isTypeOnly(node) });
  });
  return found;
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}
