/**
 * One connection of gRPC over node:http2: requests are made once, and as little is done for each as it takes,
 * so that the server is measured and not its client. grpc-js's client takes four times as much of the cores.
 */

import { connect } from "node:http2";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { loadSync } from "@grpc/proto-loader";
import type { ServiceDefinition } from "@grpc/proto-loader";
import type { Item, ModelData } from "../models/data.ts";

interface InferResponse {
  raw_output_contents: Buffer[];
}

/** A message's length is in front of it, behind a byte that says whether it is compressed. */
const PREFIX_BYTES = 5;

const definition = loadSync("proto/inference.proto", { keepCase: true, longs: Number });
const method = (definition["inference.GRPCInferenceService"] as ServiceDefinition).ModelInfer;
const HEADERS = {
  ":method": "POST",
  ":path": method.path,
  "content-type": "application/grpc+proto",
  te: "trailers",
};

/** A request as it goes over the wire. */
export function grpcBytes(model: ModelData, item: Item): Buffer {
  const datatype = model.dtype === "int32" ? "INT32" : "FP32";
  const message = method.requestSerialize({
    model_name: model.name,
    inputs: [{ name: model.input, datatype, shape: [1, ...model.itemShape] }],
    raw_input_contents: [Buffer.from(item.buffer, item.byteOffset, item.byteLength)],
  });
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

export class RawGrpcConnection {
  readonly #session: ClientHttp2Session;

  constructor(port: number) {
    this.#session = connect(`http://127.0.0.1:${port}`);
    // Its requests fail, too, and each says so.
    this.#session.on("error", () => {});
  }

  /** Resolves with the message of the answer. */
  send(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request(HEADERS);
      const chunks: Buffer[] = [];
      let status = "none";
      let text = "";
      const read = (headers: IncomingHttpHeaders): void => {
        status = String(headers["grpc-status"] ?? status);
        text = String(headers["grpc-message"] ?? text);
      };
      // A call that fails at once has its status there.
      stream.on("response", read);
      stream.on("trailers", read);
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("close", () => reject(new Error("The server closed the stream")));
      stream.on("end", () => {
        const all = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
        if (status !== "0") reject(new Error(`The server answered with the status ${status}: ${text}`));
        else if (all.length < PREFIX_BYTES || all.length !== PREFIX_BYTES + all.readUInt32BE(1))
          reject(new Error(`Cannot read the answer: it has ${all.length} bytes`));
        else resolve(all.subarray(PREFIX_BYTES));
      });
      stream.end(request);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** The floats of an answer. */
export function grpcFloats(message: Buffer): Float32Array {
  const [bytes] = (method.responseDeserialize(message) as unknown as InferResponse).raw_output_contents;
  // A copy, because it may lie anywhere.
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
