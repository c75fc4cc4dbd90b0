/**
 * `npm run -s soak -- [--minutes N | --hours N] [--runtime node|bun|deno] [--leak [KIND]] [--seed N]`: a
 * mixed load for that long, at the end of which nothing may have been lost, and nothing kept. `--leak` is
 * the control: the same with a leak on purpose (without KIND: each kind in turn), which has to be noticed.
 */

import { Failure, handOver, main } from "./run.mjs";
import { fileCommand, takeOption, takeRuntime } from "./runtimes.mjs";
import { buildLibrary, setup } from "./setup.mjs";

const KINDS = ["slot", "handle", "heap", "thread", "fd", "child", "listener", "rss"];
const LEAK_SECONDS = "14";

await main(async (args) => {
  const [runtime = "node", rest] = takeRuntime(args);
  const alone = rest.at(-1) === "--leak";
  const [kind, others] = takeOption(alone ? rest.slice(0, -1) : rest, "leak");
  if (kind !== undefined && !KINDS.includes(kind)) {
    throw new Failure(`Cannot use --leak: expected ${KINDS.join(", ")}, got "${kind}"`);
  }
  await setup();
  await buildLibrary("fault");
  const start = (more) => handOver(...fileCommand(runtime, "test/soak/main.ts", more, { collects: true }));
  if (!alone && kind === undefined) return start(others);
  const missed = [];
  for (const leak of alone ? KINDS : [kind]) {
    if ((await start(["--seconds", LEAK_SECONDS, ...others, "--leak", leak])) !== 0) missed.push(leak);
  }
  console.log(missed.length === 0 ? "every leak was noticed" : `not noticed: ${missed.join(", ")}`);
  return missed.length === 0 ? 0 : 1;
});
