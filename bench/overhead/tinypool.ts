/** tinypool as it comes: one task a worker at a time. */

import { Tinypool } from "tinypool";
import type { Echo, OverheadSpec } from "./target.ts";
import { emptyAnswer, POOL_WORKER } from "./pool.ts";

export async function open(spec: OverheadSpec): Promise<Echo<Uint8Array | undefined>> {
  const pool = new Tinypool({ filename: POOL_WORKER, minThreads: spec.threads, maxThreads: spec.threads });
  const empty = spec.payloadBytes === 0;
  return {
    send: (data) => pool.run(empty ? undefined : data) as Promise<Uint8Array | undefined>,
    bytes: empty ? emptyAnswer : (answer) => answer,
    close: () => pool.destroy(),
  };
}
