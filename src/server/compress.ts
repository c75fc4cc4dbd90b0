/** Answers as their client can read them: compressed if it asks for that. */

import { promisify } from "node:util";
import { deflate, gzip } from "node:zlib";
import type { HttpReply } from "./http-reply.ts";

const encoders = { gzip: promisify(gzip), deflate: promisify(deflate) };

/** Smaller answers fit into one packet as they are. */
const BYTES_MIN = 1400;

/** Compresses on the runtime's own threads, at the fastest level: tensors hardly shrink any more after it. */
export async function compress(reply: HttpReply, acceptEncoding: string | undefined): Promise<HttpReply> {
  const encoding = acceptEncoding === undefined ? undefined : chooseEncoding(acceptEncoding);
  const bytes = reply.body.reduce((sum, chunk) => sum + chunk.length, 0);
  if (encoding === undefined || bytes < BYTES_MIN) return reply;
  const whole = reply.body.length === 1 ? reply.body[0] : Buffer.concat(reply.body);
  const body = await encoders[encoding](whole, { level: 1 });
  const headers = { ...reply.headers, "content-encoding": encoding, vary: "accept-encoding" };
  return { ...reply, headers, body: [body] };
}

/** gzip or deflate, whichever the header names with the higher weight above 0. */
export function chooseEncoding(accept: string): "gzip" | "deflate" | undefined {
  let best: "gzip" | "deflate" | undefined;
  let bestWeight = 0;
  for (const part of accept.toLowerCase().split(",")) {
    const [name, ...parameters] = part.split(";").map((text) => text.trim());
    if (name !== "gzip" && name !== "deflate") continue;
    const q = parameters.find((text) => text.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    if (weight > bestWeight || (weight === bestWeight && weight > 0 && name === "gzip")) {
      best = name;
      bestWeight = weight;
    }
  }
  return best;
}
