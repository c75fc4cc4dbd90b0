/**
 * A server as one writes it by hand: node:http, the Open Inference Protocol with binary data as far as the
 * bench speaks it, a batcher, and onnxruntime-node on the main thread.
 */

import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { childSpec } from "../lib/child-io.ts";
import { Batcher, stack } from "../models/batcher.ts";
import { readDescription } from "../models/data.ts";
import type { Item, ModelDescription, ModelName } from "../models/data.ts";
import { openSession, runRows } from "../models/onnxruntime.ts";
import type { Settings } from "../models/target.ts";

export interface HandBatcherSpec {
  model: ModelName;
  settings: Settings;
}

const spec = childSpec<HandBatcherSpec>();
const model = readDescription(spec.model);
const session = await openSession(model);
const batcher = new Batcher(
  (items) => runRows(session, model, items.length === 1 ? items[0] : stack(items), items.length),
  model,
  { max: spec.settings.max!, flush: spec.settings.flush!, concurrent: 1 },
);

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    void answer(request, body, response).catch((error: unknown) => {
      response.writeHead(500).end(JSON.stringify({ error: String(error) }));
    });
  });
}).listen(Number(process.env["BENCH_PORT"]), "127.0.0.1");

async function answer(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
  const length = Number(request.headers["inference-header-content-length"]);
  const { inputs } = JSON.parse(body.toString("latin1", 0, length)) as { inputs: { shape: number[] }[] };
  const bytes = body.subarray(length);
  const count = inputs[0].shape.reduce((product, size) => product * size, 1);
  if (bytes.length !== count * 4 || count !== model.itemLength) throw new Error("The input has a wrong size");
  const output = await batcher.send(itemOf(model, bytes));
  const data = Buffer.from(output.buffer, output.byteOffset, output.byteLength);
  const json = Buffer.from(
    JSON.stringify({
      model_name: model.name,
      outputs: [
        {
          name: model.output,
          datatype: "FP32",
          shape: [1, output.length],
          parameters: { binary_data_size: data.length },
        },
      ],
    }),
  );
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    "inference-header-content-length": json.length,
    "content-length": json.length + data.length,
  });
  response.end(Buffer.concat([json, data]));
}

function itemOf({ dtype }: ModelDescription, bytes: Buffer): Item {
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  return dtype === "int32" ? new Int32Array(copy) : new Float32Array(copy);
}
