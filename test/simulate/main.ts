/**
 * `npm run simulate [-- --seeds N] [--first N] [--seed N [--steps N]] [--mutants]`: runs the code of
 * src/memory, src/scheduler and the callers on real threads of which one goes on at a time, as the seed has
 * it, with faults. A broken promise is printed with its seed and the last steps. `--seed` plays one seed once
 * more. `--mutants` plants bugs into copies of the code, and each has to be found. Ends with status 1 if a
 * promise is broken or a mutant survives.
 */

import { availableParallelism } from "node:os";
import { compileAll, plant } from "./build.ts";
import type { Sources } from "./build.ts";
import type { Found } from "./group.ts";
import { MUTANTS } from "./mutants.ts";
import { replay, search, withFolder } from "./search.ts";

const GROUPS = Math.min(2, availableParallelism());

/** Seeds unless told otherwise. A mutant gets more: most need less than a hundred, a few many thousand. */
const SEEDS = 2000;
const MUTANT_SEEDS = 30_000;
/** Seeds that the code itself has to pass before bugs are planted into it. */
const SOUND_SEEDS = 300;

interface Options {
  seeds: number;
  first: number;
  /** One seed to play alone; 0 is none. */
  seed: number;
  /** Steps of a trace that are shown, the last ones. */
  steps: number;
  mutants: boolean;
}

function readOptions(args: readonly string[]): Options {
  const numbers = { seeds: 0, first: 1, seed: 0, steps: 50 };
  let mutants = false;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--mutants") {
      mutants = true;
      continue;
    }
    const name = args[i].replace(/^--/, "");
    const value = Number(args[i + 1]);
    if (!Object.hasOwn(numbers, name) || !Number.isInteger(value) || value < 1) {
      const given = args.slice(i, i + 2).join(" ");
      const known = Object.keys(numbers).map((key) => `--${key} N`);
      console.error(`Cannot use "${given}": expected ${known.join(", ")} or --mutants, N from 1`);
      process.exit(2);
    }
    numbers[name as keyof typeof numbers] = value;
    i++;
  }
  if (numbers.seeds === 0) numbers.seeds = mutants ? MUTANT_SEEDS : SEEDS;
  return { ...numbers, mutants };
}

/** A line on stderr for what takes longer than a second. */
class Progress {
  readonly #startMs = performance.now();
  readonly #live = process.stderr.isTTY === true;
  #shownMs = performance.now();

  show(text: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#startMs < 1000 || nowMs - this.#shownMs < (this.#live ? 200 : 10_000)) return;
    this.#shownMs = nowMs;
    process.stderr.write(this.#live ? `\r${text}, ${this.seconds} s ` : `${text}, ${this.seconds} s\n`);
  }

  end(): void {
    if (this.#live) process.stderr.write("\r\x1b[K");
  }

  get seconds(): string {
    return ((performance.now() - this.#startMs) / 1000).toFixed(0);
  }
}

async function playSeeds(sources: Sources, { seeds, first, steps }: Options): Promise<number> {
  const progress = new Progress();
  return withFolder(sources, async (folder) => {
    const range = { first, count: seeds, groups: GROUPS };
    const found = await search(folder, range, (done) => progress.show(`${done} of ${seeds} seeds`));
    progress.end();
    if (found !== null) return playOne(folder, found.seed, steps, found);
    console.log(`${seeds} seeds, no promise broken (${progress.seconds} s)`);
    return 0;
  });
}

/** Plays a seed with a trace. `before` is what its first run found, which the second has to find again. */
async function playOne(folder: string, seed: number, steps: number, before: Found | null): Promise<number> {
  const { found } = await replay(folder, seed);
  for (const line of (found ?? before)?.trace.slice(-steps) ?? []) console.log(line);
  const violation = found?.violation ?? before?.violation;
  console.log(violation === undefined ? `seed ${seed}: no promise broken` : `seed ${seed}: ${violation}`);
  if (before !== null && found?.violation !== before.violation) {
    console.log(`The trace is of another run: that one ended with ${found?.violation ?? "nothing broken"}`);
  }
  return violation === undefined ? 0 : 1;
}

/** Every planted bug has to be found, in code of which nothing is found without it. */
async function playMutants(sources: Sources, options: Options): Promise<number> {
  const { seeds, first } = options;
  if ((await playSeeds(sources, { ...options, seeds: SOUND_SEEDS })) !== 0) return 1;
  const progress = new Progress();
  const survived: string[] = [];
  let done = 0;
  const waiting = MUTANTS.map((mutant) => ({ mutant, planted: plant(sources, mutant) }));
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { mutant, planted } = next;
      const range = { first, count: seeds, groups: 1 };
      const found = await withFolder(planted, (folder) => search(folder, range));
      progress.show(`${++done} of ${MUTANTS.length} mutants`);
      if (found === null) survived.push(mutant.name);
      const how = found === null ? "SURVIVED" : `seed ${found.seed}: ${found.violation.split("\n")[0]}`;
      progress.end();
      console.log(`${mutant.name} (src/${mutant.file}): ${how}`.slice(0, 200));
    }
  };
  await Promise.all(Array.from({ length: GROUPS }, work));
  for (const name of survived) console.log(`survived: ${name}`);
  console.log(`${MUTANTS.length - survived.length}/${MUTANTS.length} mutants found (${progress.seconds} s)`);
  return survived.length === 0 ? 0 : 1;
}

const options = readOptions(process.argv.slice(2));
const sources = compileAll();
const { seed } = options;
if (options.mutants) process.exitCode = await playMutants(sources, options);
else if (seed !== 0)
  process.exitCode = await withFolder(sources, (folder) => playOne(folder, seed, options.steps, null));
else process.exitCode = await playSeeds(sources, options);
