/** Calls of gRPC with their bytes as a test wants them on the wire. */

import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { createRequire } from "node:module";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import type * as ProtoLoader from "@grpc/proto-loader";
import { widensConnections } from "../../src/server/grpc-connections.ts";
import { root } from "../tidy/sources.ts";
import type { Message } from "./grpc.ts";

const loader = createRequire(import.meta.url)("@grpc/proto-loader") as typeof ProtoLoader;
const file = loader.loadSync(join(root, "proto", "inference.proto"), { keepCase: true, longs: Number });
const service = file["inference.GRPCInferenceService"] as ServiceDefinition;
const infer = service.ModelInfer as MethodDefinition<Message, Message>;

/** A ModelInferRequest, without what a frame of gRPC has in front. */
export const encoded = (message: Message): Buffer => infer.requestSerialize(message);

/** With its length in front, and whether it is compressed. */
export function framed(message: Buffer, isCompressed = false, bytes: number = message.length): Buffer {
  const prefix = Buffer.from([isCompressed ? 1 : 0, 0, 0, 0, 0]);
  prefix.writeUInt32BE(bytes, 1);
  return Buffer.concat([prefix, message]);
}

export interface RawAnswer {
  /** The trailers' `grpc-status` and `grpc-message`. */
  status: number;
  details: string;
  messages: Message[];
}

export interface RawCall {
  stream: ClientHttp2Stream;
  answer: Promise<RawAnswer>;
}

/** Calls on one connection, which `hook` closes. */
export function rawConnector(hook: (close: () => void) => void): (port: number) => ClientHttp2Session {
  const sessions: ClientHttp2Session[] = [];
  hook(() => sessions.splice(0).forEach((session) => session.destroy()));
  return (port) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    sessions.push(session);
    return session;
  };
}

/** Of ModelInfer, unless the headers say otherwise. */
export function rawCall(session: ClientHttp2Session, headers: Record<string, string> = {}): RawCall {
  const stream = session.request({
    ":method": "POST",
    ":path": infer.path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const chunks: Buffer[] = [];
  const seen: IncomingHttpHeaders = {};
  stream.on("response", (given) => Object.assign(seen, given));
  stream.on("trailers", (given) => Object.assign(seen, given));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const answer = new Promise<RawAnswer>((resolve) => {
    const done = (): void =>
      resolve({
        status: Number(seen["grpc-status"]),
        details: decodeURIComponent(String(seen["grpc-message"] ?? "")),
        messages: messagesOf(Buffer.concat(chunks)),
      });
    stream.on("end", done);
    stream.on("error", done);
  });
  return { stream, answer };
}

function messagesOf(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(infer.responseDeserialize(bytes.subarray(at + 5, end)));
    at = end;
  }
  return messages;
}

/** What a connection of HTTP/2 begins with. */
export const HTTP2_WINDOW_BYTES = 65_535;

/** What a server of HTTP/2 lets a client send before the client has sent anything. */
export function windowsOf(port: number): Promise<{ stream: number; frame: number; connection: number }> {
  const socket = connectSocket({ port, host: "127.0.0.1" });
  socket.write(Buffer.from("505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000", "hex"));
  let [stream, frame, connection] = [0, 0, widensConnections() ? 0 : HTTP2_WINDOW_BYTES];
  let left = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      left = Buffer.concat([left, chunk]);
      while (left.length >= 9 && left.length >= 9 + left.readUIntBE(0, 3)) {
        const value = left.subarray(9, 9 + left.readUIntBE(0, 3));
        // SETTINGS are pairs of a number, 4 for a stream's window and 5 for a frame, and a value. 8 is a
        // WINDOW_UPDATE.
        if (left[3] === 4) {
          for (let at = 0; at < value.length; at += 6) {
            if (value.readUInt16BE(at) === 4) stream = value.readUInt32BE(at + 2);
            if (value.readUInt16BE(at) === 5) frame = value.readUInt32BE(at + 2);
          }
        }
        if (left[3] === 8) connection = HTTP2_WINDOW_BYTES + value.readUInt32BE(0);
        left = left.subarray(9 + value.length);
      }
      if (stream === 0 || frame === 0 || connection === 0) return;
      socket.destroy();
      resolve({ stream, frame, connection });
    });
  });
}
