/**
 * Bugs to plant into the code under test, each a likely mistake. The simulation has to find every one of
 * them; a text that no longer stands in its file is an error, so that the list stays true.
 */

import type { Mutant } from "./build.ts";
import { CALLER_MUTANTS } from "./mutants-caller.ts";
import { HANG_MUTANTS } from "./mutants-hang.ts";
import { MEMORY_MUTANTS } from "./mutants-memory.ts";
import { RELOAD_MUTANTS } from "./mutants-reload.ts";
import { SCHEDULER_MUTANTS } from "./mutants-scheduler.ts";

export const MUTANTS: readonly Mutant[] = [
  ...MEMORY_MUTANTS,
  ...SCHEDULER_MUTANTS,
  ...CALLER_MUTANTS,
  ...RELOAD_MUTANTS,
  ...HANG_MUTANTS,
];
