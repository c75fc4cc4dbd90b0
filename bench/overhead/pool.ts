/** What piscina and tinypool share. */

import { fileURLToPath } from "node:url";

/** The bundle of pool-worker.ts lies beside the bundle that this ends up in. */
export const POOL_WORKER: string = fileURLToPath(new URL("./overhead-pool-worker.js", import.meta.url));

const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * For an empty payload the contenders send and answer nothing at all, which is the least that they can do.
 */
export function emptyAnswer(answer: Uint8Array | undefined): Uint8Array | undefined {
  return answer === undefined ? NOTHING : undefined;
}
