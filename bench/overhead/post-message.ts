/**
 * Bare workers with postMessage: a number for each request, payloads by structured clone, workers in turn.
 */

import { Worker } from "node:worker_threads";
import { emptyAnswer } from "./pool.ts";
import type { Echo, OverheadSpec } from "./target.ts";

type Reply = { id: number; bytes: Uint8Array };
type Settle = (bytes: Uint8Array | undefined) => void;

export async function open(spec: OverheadSpec): Promise<Echo<Uint8Array | undefined>> {
  const pending = new Map<number, Settle>();
  const settle = (id: number, bytes: Uint8Array | undefined): void => {
    const resolve = pending.get(id);
    pending.delete(id);
    resolve?.(bytes);
  };
  const workers = Array.from({ length: spec.threads }, () => {
    const worker = new Worker(new URL("./overhead-post-message-worker.js", import.meta.url));
    worker.on("message", (reply: number | Reply) => {
      if (typeof reply === "number") settle(reply, undefined);
      else settle(reply.id, reply.bytes);
    });
    return worker;
  });
  const empty = spec.payloadBytes === 0;
  let next = 0;
  return {
    send: (data) =>
      new Promise((resolve) => {
        const id = next++;
        pending.set(id, resolve);
        workers[id % workers.length].postMessage(empty ? id : { id, bytes: data });
      }),
    bytes: empty ? emptyAnswer : (answer) => answer,
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
