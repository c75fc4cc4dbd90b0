/** Everything that the models bench needs before it can run: models, right answers, the C loop, omniback. */

import { ensureModel } from "../../examples/models/index.ts";
import type { Options } from "../lib/args.ts";
import { compileLoop } from "./c-loop.ts";
import type { ModelName } from "./data.ts";
import { installOmniback, omnibackVersion } from "./omniback.ts";
import type { Missing } from "./plan.ts";
import { writeReference } from "./reference.ts";
import { MODELS } from "./settings.ts";

export interface Prepared {
  names: ModelName[];
  missing: Missing;
  about: string[];
}

export async function prepareModels(options: Options, progress: (text: string) => void): Promise<Prepared> {
  const filtered = MODELS.filter((name) => options.filter.includes(name));
  const names = filtered.length > 0 ? filtered : [...MODELS];
  for (const name of names) {
    progress(`preparing ${name} and its right answers`);
    await writeReference(name, await modelPath(name, options.modelsDir));
  }
  progress("compiling the C loop");
  const missing: Missing = { cLoop: compileLoop() };
  const about: string[] = [];
  const wanted = !options.only || options.only.some((name) => "omniback".startsWith(name));
  if (wanted && !options.without.includes("omniback")) {
    missing.omniback = await installOmniback(progress);
    about.push(
      missing.omniback === undefined
        ? await omnibackVersion()
        : `omniback: not available: ${missing.omniback}`,
    );
  }
  return { names, missing, about };
}

/** magika comes with the examples; the others are made there on first use. */
async function modelPath(name: ModelName, dir: string): Promise<string> {
  return name === "magika" ? "examples/data/magika.onnx" : ensureModel(name, dir);
}
