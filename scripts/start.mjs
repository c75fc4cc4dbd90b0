/** `npm start [-- --runtime node|bun|deno] [ARGUMENTS]`: sets up, then runs the reference configuration. */

import { handOver, main } from "./run.mjs";
import { fileCommand, takeRuntime } from "./runtimes.mjs";
import { setup } from "./setup.mjs";

await main(async (args) => {
  const [runtime = "node", rest] = takeRuntime(args);
  await setup();
  return handOver(...fileCommand(runtime, "examples/reference.ts", rest));
});
