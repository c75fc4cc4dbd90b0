/** What `stats()` tells. */

/** Why a batch was sent when it was. */
export type BatchReason = "full" | "idle" | "timeout" | "drain";

/** Why a request took no slot: it is wrong, it has no room, the pipe is closed, or its signal was aborted. */
export type RefusalReason = "input" | "full" | "closed" | "aborted";

export interface PipeStats {
  /** Requests of this caller. submitted = refused + succeeded + failed + in flight. */
  submitted: number;
  refused: number;
  /** The refused ones by reason. */
  refusals: Readonly<Record<RefusalReason, number>>;
  succeeded: number;
  failed: number;
  inFlight: number;
  /** Rows of this caller now: slots that are free, rows that wait, and rows that an instance has. */
  freeSlots: number;
  queued: number;
  running: number;
  /** Rows of this caller's slots that are kept for calls that hang. They come back when those return. */
  quarantinedSlots: number;
  /** Batches of all callers, their rows, and how often each size (index = rows) was sent for each reason. */
  batches: number;
  rows: number;
  meanBatch: number;
  reasons: Readonly<Record<BatchReason, number>>;
  sizes: Readonly<Record<BatchReason, readonly number[]>>;
  /** Mean over rows of the time from the call to the start of the run, and mean over batches of the run. */
  meanWaitMs: number;
  meanRunMs: number;
  /** Rows that were run again alone because their batch failed. */
  reruns: number;
  /** Late completions of slots that had been given up. */
  staleCompletions: number;
  /** Instances that were replaced, after their thread died or a call of theirs hung. */
  instanceRestarts: number;
  /** How often another model was put in place by `reload()`. */
  reloads: number;
  /** Instances that were given up because a call of theirs hangs, and still does. */
  quarantinedInstances: number;
  /** How often an instance was told to look for work, by all callers, modulo 2^32. */
  wakes: number;
  instances: readonly {
    state: "starting" | "idle" | "leading" | "running" | "parked" | "dead";
    batches: number;
    rows: number;
  }[];
}
