/**
 * `npm run crossing [-- --runtime node|bun|deno] [ARGUMENTS]`: a million requests, and not one row may be
 * wrong.
 */

import { handOver, main } from "./run.mjs";
import { fileCommand, takeRuntime } from "./runtimes.mjs";
import { setup } from "./setup.mjs";

await main(async (args) => {
  const [runtime = "node", rest] = takeRuntime(args);
  await setup();
  return handOver(...fileCommand(runtime, "test/load/crossing.ts", rest));
});
