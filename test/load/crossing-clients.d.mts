/** Types of crossing-clients.mjs, which Workers load as it is. */

import type { Pipe } from "trtpipe";

/** What became of a thread's requests so far. */
export interface Totals {
  asked: number;
  right: number;
  wrong: number;
  failed: number;
  rows: number;
  error?: string;
}

export interface NamedPipe {
  kind: string;
  models: Pipe;
}

/** Resolves when every request of this thread has settled; `report` gets the totals now and then, and at last. */
export function runClients(
  pipes: readonly NamedPipe[],
  thread: number,
  requests: number,
  report: (totals: Totals) => void,
): Promise<void>;
