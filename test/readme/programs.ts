/**
 * The README's TypeScript blocks as programs: written into a folder inside the checkout, so that `trtpipe` is
 * the built package.
 */

import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import ts from "typescript";
import { ensureModel } from "../../examples/models/index.ts";
import { sumAndProductModel } from "../models.ts";
import { negationModel } from "../support/tensorrt.ts";
import { root } from "../tidy/sources.ts";
import type { Block } from "./markdown.ts";

/** A block, and the other files that it names: blocks whose first line is `// name.js`. */
export interface Program {
  block: Block;
  files: readonly { name: string; text: string }[];
}

export function programs(all: readonly Block[]): Program[] {
  const found: { block: Block; files: { name: string; text: string }[] }[] = [];
  for (const block of all.filter(({ language }) => language === "ts")) {
    const name = /^\/\/ (\S+\.js)$/m.exec(block.text.split("\n", 1)[0])?.[1];
    if (name === undefined) found.push({ block, files: [] });
    else found.at(-1)?.files.push({ name, text: block.text });
  }
  return found;
}

/** A folder with the models that the blocks name. The caller removes it. */
export async function makeFolder(): Promise<string> {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache", "readme-"));
  const resnet18 = await ensureModel("resnet18");
  symlinkSync(resnet18, join(folder, basename(resnet18)));
  writeFileSync(join(folder, "two-inputs.onnx"), sumAndProductModel());
  writeFileSync(join(folder, "negation.onnx"), negationModel());
  return folder;
}

/** Writes a program as JavaScript into a folder of its own below `folder`; returns its main file's path. */
export function write({ block, files }: Program, folder: string): string {
  const own = join(folder, `line-${block.line}`);
  mkdirSync(own, { recursive: true });
  for (const { name, text } of [{ name: "main.js", text: block.text }, ...files]) {
    writeFileSync(join(own, name), toJavaScript(text));
  }
  return join(own, "main.js");
}

function toJavaScript(text: string): string {
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
  };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

/** What the compiler says about the programs, with the built declarations and this project's strictness. */
export function typeErrors(all: readonly Program[], folder: string): string[] {
  const paths = all.flatMap(({ block, files }) =>
    [{ name: "main.js", text: block.text }, ...files].map(({ name, text }) => {
      const path = join(folder, `types-${block.line}-${name.replace(/\.js$/, ".ts")}`);
      writeFileSync(path, text);
      return path;
    }),
  );
  const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram(paths, {
    ...options,
    isolatedDeclarations: false,
    declaration: false,
    paths: { trtpipe: [join(root, "dist", "index.d.ts")] },
  });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, " ");
    if (file === undefined) return text;
    const { line } = file.getLineAndCharacterOfPosition(start ?? 0);
    return `${basename(file.fileName)}:${line + 1} ${text}`;
  });
}
