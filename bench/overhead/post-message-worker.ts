/** Answers each message with its number, and with the first four bytes where there are any. */

import { parentPort } from "node:worker_threads";
import { ANSWER_BYTES } from "./target.ts";

const port = parentPort!;

port.on("message", (request: number | { id: number; bytes: Uint8Array }) => {
  if (typeof request === "number") port.postMessage(request);
  else port.postMessage({ id: request.id, bytes: request.bytes.slice(0, ANSWER_BYTES) });
});
