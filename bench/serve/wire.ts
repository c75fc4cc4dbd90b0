/** What each server wants to be sent, and how its answer is read. */

import type { Item, ModelData } from "../models/data.ts";

/** "v2": the Open Inference Protocol with binary data; "raw": bytes alone; "base64": bytes in JSON. */
export type Format = "v2" | "raw" | "base64";

export interface WireFormat {
  path: string;
  contentType: string;
  /** More headers, as lines. */
  headers: string;
  body: Buffer;
}

export function requestOf(format: Format, model: ModelData, item: Item, path: string): WireFormat {
  const bytes = Buffer.from(item.buffer, item.byteOffset, item.byteLength);
  if (format === "raw") return { path, contentType: "application/octet-stream", headers: "", body: bytes };
  if (format === "base64") {
    const body = Buffer.from(JSON.stringify({ d: bytes.toString("base64") }));
    return { path, contentType: "application/json", headers: "", body };
  }
  const json = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: model.input,
          datatype: model.dtype === "int32" ? "INT32" : "FP32",
          shape: [1, ...model.itemShape],
          parameters: { binary_data_size: bytes.length },
        },
      ],
      outputs: [{ name: model.output, parameters: { binary_data: true } }],
    }),
  );
  const headers = `inference-header-content-length: ${json.length}\r\n`;
  const body = Buffer.concat([json, bytes]);
  return { path, contentType: "application/octet-stream", headers, body };
}

/** The floats of an answer, which are its bytes or lie behind its JSON. */
export function floatsOf(format: Format, { head, body }: RawAnswer): Float32Array {
  const from = format === "v2" ? numberOf(head, "inference-header-content-length") : 0;
  const bytes = body.subarray(from);
  // A copy, because what is read from a socket may lie anywhere.
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export interface RawAnswer {
  status: number;
  /** In lower case. */
  head: string;
  body: Buffer;
}

export function numberOf(head: string, name: string): number {
  const at = head.indexOf(`\r\n${name}:`);
  if (at === -1) throw new Error(`Cannot read the answer: it has no ${name}`);
  return Number.parseInt(head.slice(at + name.length + 3), 10);
}
