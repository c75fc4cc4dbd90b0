/** What the routes answer with, before anything of a socket is known. */

import { failureOf } from "./failure.ts";

export interface HttpReply {
  status: number;
  /** Of this reply alone: whoever writes it adds to them. */
  headers: Record<string, string>;
  /** Pieces that follow each other. */
  body: readonly Uint8Array[];
}

export function jsonReply(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): HttpReply {
  const body = [Buffer.from(JSON.stringify(value))];
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

export function textReply(text: string, contentType: string): HttpReply {
  return { status: 200, headers: { "content-type": contentType }, body: [Buffer.from(text)] };
}

export function errorReply(error: unknown): HttpReply {
  const { http, message, headers } = failureOf(error);
  return jsonReply({ error: message }, http, headers);
}
