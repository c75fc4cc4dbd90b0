/**
 * `npm run simulate [-- --seeds N] [--seed N] [--mutants]`: the scheduler and its callers on simulated
 * threads, and not one promise may be broken; see test/simulate/main.ts.
 */

import { handOver, main } from "./run.mjs";
import { fileCommand } from "./runtimes.mjs";
import { setup } from "./setup.mjs";

await main(async (args) => {
  await setup();
  return handOver(...fileCommand("node", "test/simulate/main.ts", args));
});
