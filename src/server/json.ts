/** JSON from strangers: bytes are looked over before they are parsed. */

import { RequestError } from "./failure.ts";
import type { Limits } from "./limits.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Throws RequestError: 400 for what is no JSON or too deep, 413 for too much of it. */
export function parseJson(bytes: Uint8Array, limits: Limits): unknown {
  if (bytes.length > limits.jsonBytes) {
    const hint = "send tensors as binary data";
    throw new RequestError(413, `Cannot accept more than ${limits.jsonBytes} bytes of JSON: ${hint}`);
  }
  scan(bytes, limits);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new RequestError(400, "Cannot read the request: its JSON is not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RequestError(400, `Cannot read the request: ${reason(error)}`);
  }
}

/** What engines say differs, and may quote the text at length. */
function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `it is not JSON (${message.replaceAll(/\s+/g, " ").slice(0, 120)})`;
}

/** Depth and number of lists and objects. Parsers recurse, and a million empty lists are a lot of memory. */
function scan(bytes: Uint8Array, { jsonDepth, jsonContainers }: Limits): void {
  let depth = 0;
  let containers = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      i = endOfString(bytes, i);
    } else if (byte === 0x5b || byte === 0x7b) {
      containers++;
      if (++depth > jsonDepth) {
        throw new RequestError(400, `Cannot read the request: its JSON is nested deeper than ${jsonDepth}`);
      }
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  if (containers > jsonContainers) {
    throw new RequestError(413, `Cannot accept more than ${jsonContainers} lists and objects of JSON`);
  }
}

function endOfString(bytes: Uint8Array, start: number): number {
  for (let i = start + 1; i < bytes.length; i++) {
    if (bytes[i] === BACKSLASH) i++;
    else if (bytes[i] === QUOTE) return i;
  }
  return bytes.length;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as an error text shows it. */
export function shown(value: unknown): string {
  if (value === undefined) return "none";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
