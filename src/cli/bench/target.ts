/** What the load generator drives: a pipe of this process, or a server somewhere. */

export interface Target {
  /** What answers, in one line. */
  readonly about: string;
  /** Sends one request; resolves when it is answered, rejects if it failed. Any number may be under way. */
  send(): Promise<void>;
  /** Batches run and rows in them since the start; undefined where the target does not tell. */
  counters(): Promise<Counters | undefined>;
  close(): Promise<void>;
}

export interface Counters {
  batches: number;
  rows: number;
}

/** What is sent with each request. */
export interface RequestPlan {
  /** Rows of one request. */
  rows: number;
  /** Shapes of inputs whose own are open, by name, without the batch dimension's number changed. */
  shapes: ReadonlyMap<string, readonly number[]>;
  /** ms after which a request is given up; undefined: never. */
  timeoutMs: number | undefined;
  seed: number;
}
