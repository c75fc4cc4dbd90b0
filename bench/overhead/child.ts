/**
 * A fresh process for one contender and one payload: runs every number of clients, prints one JSON line for
 * each.
 */

import { closedLoop } from "../lib/closed-loop.ts";
import type { Measured } from "../lib/closed-loop.ts";
import { childSpec, report } from "../lib/child-io.ts";
import { IN_PROCESS, stampedTarget } from "./target.ts";
import type { Echo, OverheadSpec } from "./target.ts";

type Open = (spec: OverheadSpec) => Promise<Echo<unknown>>;

const contenders: Record<string, () => Promise<{ open: Open }>> = {
  trtpipe: () => import("./trtpipe.ts") as Promise<{ open: Open }>,
  [IN_PROCESS]: () => import("./trtpipe.ts") as Promise<{ open: Open }>,
  piscina: () => import("./piscina.ts") as Promise<{ open: Open }>,
  tinypool: () => import("./tinypool.ts") as Promise<{ open: Open }>,
  postMessage: () => import("./post-message.ts") as Promise<{ open: Open }>,
  "Atomics hand-over": () => import("./atomics.ts") as Promise<{ open: Open }>,
};

const spec = childSpec<OverheadSpec>();
const { open } = await contenders[spec.contender]();
const echo = await open(spec);
for (const clients of spec.inFlight) {
  const target = stampedTarget(echo, spec.payloadBytes, clients);
  const measured: Measured = await closedLoop(target, { ...spec, clients });
  report({ cell: String(clients), ...measured });
}
await echo.close();
process.exit(0);
