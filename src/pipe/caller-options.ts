/** What a caller is made of. */

import type { Channel } from "../memory/channel.ts";
import type { Pool } from "../memory/pool.ts";
import type { NativeResults } from "./result.ts";
import type { ModelSpec } from "./spec.ts";

export interface CallerOptions {
  pool: Pool;
  channel: Channel;
  spec: ModelSpec;
  results: NativeResults;
  spinUs: number;
  nowMs: () => number;
  /** Whether the thread that owns the pipe still lives; asked now and then while requests are in flight. */
  isOwnerAlive: () => boolean;
}
