/** Servers in this process, and an HTTP client that does nothing but what it is told. */

import { request as httpRequest } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import type { PipeConfig } from "trtpipe";
import { InferenceServer } from "../../src/server/server.ts";
import type { ServerOptions } from "../../src/server/server.ts";
import { root } from "../tidy/sources.ts";
import { within } from "./pipes.ts";

// The server's sources make pipes, whose threads run the built script.
process.env.TRTPIPE_WORKER ??= join(root, "dist", "worker.js");

export interface Running {
  server: InferenceServer;
  port: number;
  grpcPort: number;
  logged: { level: string; text: string; fields: Record<string, unknown> }[];
}

export type Starter = (
  models: Readonly<Record<string, PipeConfig>>,
  options?: Partial<ServerOptions>,
) => Promise<Running>;

/** A function that starts servers, which `hook` (afterEach or afterAll) closes. */
export function starter(hook: (close: () => Promise<void>) => void): Starter {
  const running: InferenceServer[] = [];
  hook(async () => {
    await Promise.all(running.splice(0).map((server) => within(server.close(), "the server's close()")));
  });
  return async (models, options = {}) => {
    const logged: Running["logged"] = [];
    const server = new InferenceServer({
      sources: () => Object.entries(models).map(([name, config]) => ({ name, version: "1", config })),
      host: "127.0.0.1",
      port: 0,
      grpcPort: null,
      mayChange: false,
      drainMs: 2000,
      log: (level, text, fields) => void logged.push({ level, text, fields }),
      version: "0.0.0",
      ...options,
    });
    running.push(server);
    const { port, grpcPort } = await within(server.listen(), "listen()");
    await within(server.load(), "load()", 20_000);
    return { server, port, grpcPort: grpcPort ?? 0, logged };
  };
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The body as JSON. */
  json: unknown;
}

export interface Asked {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array | readonly Uint8Array[];
  signal?: AbortSignal;
}

export function ask(port: number, path: string, asked: Asked = {}): Promise<Answer> {
  const { body, signal, headers = {} } = asked;
  const method = asked.method ?? (body === undefined ? "GET" : "POST");
  const pieces = body === undefined ? [] : Array.isArray(body) ? body : [body as Uint8Array];
  const answered = new Promise<Answer>((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port,
      path,
      method,
      headers,
      agent: false,
      ...(signal && { signal }),
    };
    const request = httpRequest(options, (response) => {
      const chunks: Uint8Array[] = [];
      response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const whole = Buffer.concat(chunks);
        const isJson = response.headers["content-type"] === "application/json" && whole.length > 0;
        const json: unknown =
          isJson && response.headers["content-encoding"] === undefined
            ? JSON.parse(whole.toString())
            : undefined;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole, json });
      });
    });
    request.on("error", reject);
    for (const piece of pieces) request.write(piece);
    request.end();
  });
  return within(answered, `${method} ${path}`);
}

export const errorOf = ({ json }: Answer): string => (json as { error: string }).error;

/** One input of the protocol, its data in JSON. */
export function jsonInput(name: string, datatype: string, shape: readonly number[], data: unknown): object {
  return { name, datatype, shape, data };
}

export interface BinaryInput {
  name: string;
  datatype: string;
  shape: readonly number[];
  bytes: Uint8Array;
}

/** A body with the data of inputs behind its JSON, and the header that says where it begins. */
export function binaryBody(
  inputs: readonly BinaryInput[],
  more: object = {},
): { body: Uint8Array; headers: Record<string, string> } {
  const listed = inputs.map(({ name, datatype, shape, bytes }) => ({
    name,
    datatype,
    shape,
    parameters: { binary_data_size: bytes.length },
  }));
  const json = Buffer.from(JSON.stringify({ inputs: listed, ...more }));
  const body = Buffer.concat([json, ...inputs.map(({ bytes }) => bytes)]);
  return { body, headers: { "inference-header-content-length": String(json.length) } };
}

/** The JSON of an answer, and the bytes of each binary output behind it. */
export function readBinary({ headers, body }: Answer): { json: unknown; bytes: Uint8Array[] } {
  const length = Number(headers["inference-header-content-length"] ?? body.length);
  const json = JSON.parse(body.subarray(0, length).toString()) as {
    outputs: { parameters?: { binary_data_size: number } }[];
  };
  let at = length;
  const bytes = json.outputs.flatMap(({ parameters }) => {
    if (parameters === undefined) return [];
    at += parameters.binary_data_size;
    return [body.subarray(at - parameters.binary_data_size, at)];
  });
  if (at !== body.length) throw new Error(`The body has ${body.length} bytes, its JSON says ${at}`);
  return { json, bytes };
}
