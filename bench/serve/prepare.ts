/** What the serve bench needs before it can run: models, right answers, the C loop, Python servers. */

import { ensureModel } from "../../examples/models/index.ts";
import type { Options } from "../lib/args.ts";
import { compileLoop } from "../models/c-loop.ts";
import { writeReference } from "../models/reference.ts";
import { NAMES, PYTHON } from "./plan.ts";
import type { Missing } from "./plan.ts";
import { PYTHON_SERVERS, installPython } from "./python.ts";
import { SERVED } from "./settings.ts";
import type { Served } from "./settings.ts";

export interface Prepared {
  names: Served[];
  missing: Missing;
  about: string[];
}

export async function prepareServe(options: Options, progress: (text: string) => void): Promise<Prepared> {
  const filtered = SERVED.filter((name) => options.filter.includes(name));
  const names = filtered.length > 0 ? filtered : [...SERVED];
  for (const name of names) {
    progress(`preparing ${name} and its right answers`);
    await writeReference(name, await ensureModel(name, options.modelsDir));
  }
  progress("compiling the C loop");
  const missing: Missing = { cLoop: compileLoop() };
  const about: string[] = [];
  for (const name of PYTHON) {
    const isNamed = (given: string): boolean => NAMES[name].startsWith(given);
    if ((options.only && !options.only.some(isNamed)) || options.without.some(isNamed)) continue;
    missing[name] = await installPython(name, progress);
    const why = missing[name];
    about.push(
      `${name} ${PYTHON_SERVERS[name]} (Python)${why === undefined ? "" : `: not available: ${why}`}`,
    );
  }
  return { names, missing, about };
}
