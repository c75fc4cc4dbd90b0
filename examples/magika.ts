/**
 * `npx tsx examples/magika.ts [PATH...]`: what kind of file is this? Files and folders are taken; without
 * any, this project's own files.
 */

import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { pipe } from "trtpipe";
import type { Pipe, Tensor } from "trtpipe";
import { fileKind, magikaConfig, magikaFeatures } from "./magika-features.ts";
import type { FileKind } from "./magika-features.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const skipped = new Set(["node_modules", ".git", ".cache", "dist", "build", "prebuilds"]);
/** Files that are read and asked about at the same time. */
const AT_ONCE = 32;

/** The file itself, or all files below a folder. */
async function* walk(path: string): AsyncGenerator<string> {
  if (!(await stat(path)).isDirectory()) return yield path;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory() && skipped.has(entry.name)) continue;
    if (entry.isDirectory() || entry.isFile()) yield* walk(join(path, entry.name));
  }
}

const config = magikaConfig();

async function kindOf(models: Pipe, path: string): Promise<FileKind> {
  const features = await magikaFeatures(path, config);
  if (!(features instanceof Int32Array)) return features;
  const { result } = await models({ data: features });
  return fileKind((result as Tensor<"float32">).data, config);
}

const paths = process.argv.length > 2 ? process.argv.slice(2) : [root];
const model = fileURLToPath(new URL("data/magika.onnx", import.meta.url));
const models = await pipe({ model, instance_num: 2, max: 4 });
const kinds = new Map<string, string[]>();

/** Takes the next file until none is left; many do so at the same time, and their requests share batches. */
async function client(files: AsyncIterable<string>): Promise<void> {
  for await (const file of files) {
    const { label, sure } = await kindOf(models, file);
    const kind = sure ? label : `${label}?`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), relative(process.cwd(), file)]);
  }
}

/** What several clients may draw from: leaving it early does not end it. */
function shared(files: AsyncGenerator<string>): AsyncIterable<string> {
  return { [Symbol.asyncIterator]: () => ({ next: () => files.next() }) };
}

async function* all(): AsyncGenerator<string> {
  for (const path of paths) yield* walk(path);
}

const startMs = performance.now();
const files = shared(all());
await Promise.all(Array.from({ length: AT_ONCE }, () => client(files)));
const seconds = (performance.now() - startMs) / 1000;
for (const [kind, names] of [...kinds].toSorted(([, a], [, b]) => b.length - a.length)) {
  const example = names.toSorted()[0];
  console.log(`${String(names.length).padStart(6)}  ${kind.padEnd(14)} ${example}`);
}
const { rows, meanBatch } = models.stats();
console.log(`${rows} files in ${seconds.toFixed(1)} s, ${meanBatch.toFixed(1)} to a batch; "?": not sure`);
await models.close();
