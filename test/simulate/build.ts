/**
 * Makes a folder with the code under test and the simulation as plain JavaScript. What the code under test
 * imports from its runtime is redirected to the simulation; nothing else of it is changed, but for a mutant.
 */

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A planted bug: one piece of one file of src/ replaced by another. */
export interface Mutant {
  name: string;
  file: string;
  from: string;
  to: string;
}

const REDIRECTED: Readonly<Record<string, readonly string[]>> = {
  "src/memory/park.ts": ["node:timers"],
  "src/pipe/give-up.ts": ["node:timers"],
  "src/scheduler/thread.ts": ["node:worker_threads"],
  "src/pipe/attach.ts": ["node:worker_threads", "../native/load.ts"],
};

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  rewriteRelativeImportExtensions: true,
};

export type Sources = ReadonlyMap<string, string>;

/** All of src/ and of the simulation as JavaScript, by path. */
export function compileAll(): Sources {
  const compiled = new Map<string, string>();
  for (const folder of ["src", "test/simulate"]) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const path = `${folder}/${name}`;
      compiled.set(path, compile(path, readFileSync(join(root, path), "utf8")));
    }
  }
  return compiled;
}

/** The same with one bug planted. */
export function plant(sources: Sources, { name, file, from, to }: Mutant): Sources {
  const path = `src/${file}`;
  const text = readFileSync(join(root, path), "utf8");
  const places = text.split(from).length - 1;
  if (places !== 1) throw new Error(`Cannot plant "${name}": its text stands ${places} times in ${path}`);
  return new Map([
    ...sources,
    [
      path,
      compile(
        path,
        text.replace(from, () => to),
      ),
    ],
  ]);
}

export function writeAll(sources: Sources, folder: string): void {
  for (const [path, text] of sources) {
    const to = join(folder, path.replace(/\.ts$/, ".js"));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, text);
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
}

function compile(path: string, text: string): string {
  let redirected = text;
  for (const from of REDIRECTED[path] ?? []) {
    const to = `${relative(dirname(path), "test/simulate")}/runtime.ts`;
    const pieces = redirected.split(`from "${from}"`);
    if (pieces.length !== 2) throw new Error(`Cannot redirect "${from}" of ${path}: it is not imported once`);
    redirected = pieces.join(`from "${to}"`);
  }
  return ts.transpileModule(redirected, { compilerOptions: OPTIONS, fileName: path }).outputText;
}
