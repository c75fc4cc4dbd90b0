/**
 * `npm run -s faults -- [--runtime node|bun|deno] [--row ID]`: the tests that prove what becomes of each
 * fault of the catalogue, and of each row, in each runtime, whether they passed; see test/faults/.
 */

import { handOver, main } from "./run.mjs";
import { fileCommand } from "./runtimes.mjs";
import { buildLibrary, setup } from "./setup.mjs";

await main(async (args) => {
  await setup();
  await buildLibrary("fault");
  return handOver(...fileCommand("node", "test/faults/main.ts", args));
});
