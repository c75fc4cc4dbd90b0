/**
 * `npm run -s bench -- SUITE [ARGUMENTS]`: sets up, then runs bench/run.ts, which starts each contender
 * itself.
 */

import { handOver, main } from "./run.mjs";
import { fileCommand } from "./runtimes.mjs";
import { setup } from "./setup.mjs";

await main(async (args) => {
  await setup();
  return handOver(...fileCommand("node", "bench/run.ts", args));
});
