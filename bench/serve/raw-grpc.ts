/**
 * One connection of gRPC that asks and waits, asks and waits: as little HTTP/2 as that takes, so that the
 * server is measured and not its client. node:http2 takes half as much again of the cores, and grpc-js's
 * client four times as much as that.
 */

import { connect } from "node:net";
import type { Socket } from "node:net";
import { loadSync } from "@grpc/proto-loader";
import type { ServiceDefinition } from "@grpc/proto-loader";
import type { Item, ModelData } from "../models/data.ts";

interface InferResponse {
  raw_output_contents: Buffer[];
}

interface Waiting {
  resolve(message: Buffer): void;
  reject(error: Error): void;
}

/** A message's length is in front of it, behind a byte that says whether it is compressed. */
const PREFIX_BYTES = 5;

const definition = loadSync("proto/inference.proto", { keepCase: true, longs: Number });
const method = (definition["inference.GRPCInferenceService"] as ServiceDefinition).ModelInfer;

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

/** The floats of an answer. */
export function grpcFloats(message: Buffer): Float32Array {
  const [bytes] = (method.responseDeserialize(message) as unknown as InferResponse).raw_output_contents;
  // A copy, because it may lie anywhere.
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** RFC 9113: a frame's length, type, flags and stream, and then what it holds. */
const HEAD_BYTES = 9;
const Frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;
const WINDOW_BYTES_MAX = 2 ** 31 - 1;
/** What both sides begin with. */
const WINDOW_BYTES = 65_535;
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  head(Frame.settings, 0, 0, 6),
  Buffer.from([0, INITIAL_WINDOW_SIZE]),
  uint32(WINDOW_BYTES_MAX),
  head(Frame.windowUpdate, 0, 0, 4),
  uint32(WINDOW_BYTES_MAX - WINDOW_BYTES),
]);
/** RFC 7541, without its tables: indices of the static one, and texts as they are. */
const HEADERS = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x04]),
  text(method.path),
  Buffer.from([0x01]),
  text("127.0.0.1"),
  Buffer.from([0x0f, 0x10]),
  text("application/grpc+proto"),
  Buffer.from([0x00]),
  text("te"),
  text("trailers"),
]);

export class RawGrpcConnection {
  readonly #socket: Socket;
  #waiting: Waiting | null = null;
  #stream = -1;
  #received: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  /** Of the request that is being sent: what is not sent yet. */
  #unsent: Buffer = Buffer.alloc(0);
  /** What the server takes: bytes of the connection, of this request's stream and of any, and of a frame. */
  #connectionWindow = WINDOW_BYTES;
  #streamWindow = WINDOW_BYTES;
  #streamWindowAtStart = WINDOW_BYTES;
  #frameBytes = 16_384;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("The server closed the connection")));
    this.#socket.write(PREFACE);
  }

  /** Resolves with the message of the answer. */
  send(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error("The connection is closed"));
      this.#waiting = { resolve, reject };
      this.#stream += 2;
      this.#streamWindow = this.#streamWindowAtStart;
      this.#unsent = request;
      this.#chunks = [];
      this.#socket.cork();
      this.#socket.write(head(Frame.headers, END_HEADERS, this.#stream, HEADERS.length));
      this.#socket.write(HEADERS);
      this.#send();
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends what the server takes now. */
  #send(): void {
    while (this.#unsent.length > 0) {
      const limit = Math.min(this.#connectionWindow, this.#streamWindow, this.#frameBytes);
      if (limit <= 0) return;
      const part = this.#unsent.subarray(0, limit);
      this.#unsent = this.#unsent.subarray(part.length);
      this.#connectionWindow -= part.length;
      this.#streamWindow -= part.length;
      const flags = this.#unsent.length === 0 ? END_STREAM : 0;
      this.#socket.write(head(Frame.data, flags, this.#stream, part.length));
      this.#socket.write(part);
    }
  }

  #read(chunk: Buffer): void {
    let bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      this.#take(bytes[3], bytes[4], bytes.readUInt32BE(5), bytes.subarray(HEAD_BYTES, end));
      bytes = bytes.subarray(end);
    }
    this.#received = bytes;
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === Frame.settings && (flags & ACK) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
      }
      this.#socket.write(head(Frame.settings, ACK, 0, 0));
    } else if (type === Frame.ping && (flags & ACK) === 0) {
      this.#socket.write(Buffer.concat([head(Frame.ping, ACK, 0, payload.length), payload]));
    } else if (type === Frame.windowUpdate) {
      if (stream === 0) this.#connectionWindow += payload.readUInt32BE(0);
      else if (stream === this.#stream) this.#streamWindow += payload.readUInt32BE(0);
      this.#send();
    } else if (type === Frame.goAway) {
      this.#fail(new Error("The server ends the connection"));
    } else if (stream === this.#stream) {
      if (type === Frame.data) this.#chunks.push(payload);
      if (type === Frame.reset) this.#fail(new Error("The server ended the call"));
      else if ((type === Frame.headers || type === Frame.data) && (flags & END_STREAM) !== 0) this.#finish();
    }
  }

  #set(id: number, value: number): void {
    if (id === MAX_FRAME_SIZE) this.#frameBytes = value;
    if (id !== INITIAL_WINDOW_SIZE) return;
    this.#streamWindow += value - this.#streamWindowAtStart;
    this.#streamWindowAtStart = value;
    this.#send();
  }

  /** A call that failed has no message. */
  #finish(): void {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    if (all.length < PREFIX_BYTES || all.length !== PREFIX_BYTES + all.readUInt32BE(1)) {
      return this.#fail(
        new Error(`The server did not answer with one message, but with ${all.length} bytes`),
      );
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(all.subarray(PREFIX_BYTES));
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}

function head(type: number, flags: number, stream: number, bytes: number): Buffer {
  const made = Buffer.allocUnsafe(HEAD_BYTES);
  made.writeUIntBE(bytes, 0, 3);
  made[3] = type;
  made[4] = flags;
  made.writeUInt32BE(stream, 5);
  return made;
}

function uint32(value: number): Buffer {
  const made = Buffer.alloc(4);
  made.writeUInt32BE(value);
  return made;
}

/** Less than 127 bytes of ASCII. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}
