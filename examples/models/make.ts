/** `npx tsx examples/models/make.ts NAME [FOLDER]` makes a model's file and prints its path. */

import { statSync } from "node:fs";

import { defaultFolder, ensureModel, models } from "./index.ts";
import type { ModelName } from "./index.ts";

const [name = "", folder = defaultFolder] = process.argv.slice(2);
if (Object.hasOwn(models, name)) {
  const startMs = performance.now();
  const path = await ensureModel(name as ModelName, folder, (share) => {
    process.stderr.write(`making ${name}: ${Math.round(share * 100)} %\n`);
  });
  const tookMs = performance.now() - startMs;
  process.stderr.write(`${(statSync(path).size / 1e6).toFixed(1)} MB, ${tookMs.toFixed(0)} ms\n`);
  process.stdout.write(`${path}\n`);
} else {
  process.stderr.write(`usage: make.ts ${Object.keys(models).join("|")} [folder]\n`);
  process.exitCode = 2;
}
