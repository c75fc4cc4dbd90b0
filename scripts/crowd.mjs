/**
 * `npm run -s crowd [-- --runtime node|bun|deno] [--seconds N]`: `trtpipe serve` under a load of honest
 * clients, while 500 connections drip and others send bodies of 1 GiB, zip bombs, lengths that lie and JSON
 * that is 250 000 deep, all at once. Prints latencies, memory and statuses for each runtime; ends with 0 if
 * all honest requests were answered, p99 stayed below 500 ms, memory bounded, and no 5xx but 503 was seen.
 */

import { Failure, handOver, main } from "./run.mjs";
import { fileCommand, runtimeNames, takeOption, takeRuntime } from "./runtimes.mjs";
import { setup } from "./setup.mjs";

await main(async (args) => {
  const [runtime, rest] = takeRuntime(args);
  const [seconds = "30", unknown] = takeOption(rest, "seconds");
  if (unknown.length > 0)
    throw new Failure(`Cannot use "${unknown.join(" ")}": expected --runtime or --seconds`);
  if (!(Number(seconds) >= 1 && Number(seconds) <= 3600))
    throw new Failure(`Cannot use --seconds: expected 1 to 3600, got "${seconds}"`);
  await setup();
  let failed = 0;
  for (const name of runtime === undefined ? runtimeNames : [runtime]) {
    const [command, flags] = serverCommand(name);
    const [program, programArgs] = fileCommand("node", "test/crowd/main.ts", [
      name,
      seconds,
      command,
      ...flags,
    ]);
    if ((await handOver(program, programArgs)) !== 0) failed++;
  }
  return failed === 0 ? 0 : 1;
});

/** What runs a script of JavaScript in this runtime. */
function serverCommand(runtime) {
  const [command, args] = fileCommand(runtime, "");
  return [command, runtime === "node" ? [] : args.slice(0, -1)];
}
