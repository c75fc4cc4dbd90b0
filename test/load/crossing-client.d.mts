import type { Pipe } from "trtpipe";

export function ask(options: {
  identity: Pipe;
  affine: Pipe;
  thread: number;
  requests: number;
  report?: (done: number) => void;
}): Promise<{ done: number; wrong: number; lost: number }>;
