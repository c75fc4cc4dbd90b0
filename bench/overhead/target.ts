/**
 * The work of the overhead bench: a client sends its own buffer, stamped anew for each request, and gets the
 * first four bytes back in a new typed array. With an empty payload there is nothing to send or get but the
 * answer itself.
 */

import type { Target } from "../lib/closed-loop.ts";

/** trtpipe with its backend in a child process. */
export const IN_PROCESS = "trtpipe, Process";

/** Bytes that come back for a payload that is not empty. */
export const ANSWER_BYTES = 4;

export interface OverheadSpec {
  contender: string;
  /** Worker threads (instances) that answer. */
  threads: number;
  payloadBytes: number;
  inFlight: readonly number[];
  warmUpMs: number;
  measureMs: number;
}

/** What a contender brings. */
export interface Echo<A> {
  /**
   * Sends one request; `data` belongs to the client and may be changed only once the request was answered.
   */
  send(data: Uint8Array): Promise<A>;
  /** The bytes of an answer; undefined if there was none. */
  bytes(answer: A): Uint8Array | undefined;
  counters?(): { batches: number; rows: number };
  close(): Promise<void>;
}

/** Turns a contender into clients that stamp and check. */
export function stampedTarget<A>(echo: Echo<A>, payloadBytes: number, clients: number): Target<A> {
  const buffers = Array.from({ length: clients }, () => new Uint8Array(payloadBytes).fill(1));
  const target: Target<A> =
    payloadBytes === 0
      ? {
          send: (client) => echo.send(buffers[client]),
          check: (_client, _turn, answer) => echo.bytes(answer)?.length === 0,
        }
      : {
          send: (client, turn) => echo.send(stamp(buffers[client], client, turn)),
          check: (client, turn, answer) => isStamped(echo.bytes(answer), client, turn),
        };
  if (echo.counters) target.counters = () => echo.counters!();
  return target;
}

/** Ten bits of client, twenty-two of turn: no two requests in flight look the same. */
function stamp(data: Uint8Array, client: number, turn: number): Uint8Array {
  data[0] = client;
  data[1] = (client >> 8) | (turn << 2);
  data[2] = turn >> 6;
  data[3] = turn >> 14;
  return data;
}

function isStamped(answer: Uint8Array | undefined, client: number, turn: number): boolean {
  return (
    answer?.length === ANSWER_BYTES &&
    answer[0] === (client & 255) &&
    answer[1] === (((client >> 8) | (turn << 2)) & 255) &&
    answer[2] === ((turn >> 6) & 255) &&
    answer[3] === ((turn >> 14) & 255)
  );
}
