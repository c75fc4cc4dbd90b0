/** Clients of gRPC that are made from the .proto files of the package. */

import { createRequire } from "node:module";
import { join } from "node:path";
import type * as GrpcJs from "@grpc/grpc-js";
import type * as ProtoLoader from "@grpc/proto-loader";
import { root } from "../tidy/sources.ts";

const require = createRequire(import.meta.url);
const grpc = require("@grpc/grpc-js") as typeof GrpcJs;
const loader = require("@grpc/proto-loader") as typeof ProtoLoader;

export type Message = Record<string, unknown>;
export type Client = GrpcJs.Client & Record<string, (...args: unknown[]) => GrpcJs.ClientUnaryCall>;
export type Connect = (port: number, file?: string, service?: string) => Client;

/** A function that makes clients, which `hook` (afterEach or afterAll) closes. */
export function connector(hook: (close: () => void) => void): Connect {
  const clients: Client[] = [];
  hook(() => clients.splice(0).forEach((client) => client.close()));
  return (port, file = "inference.proto", service = "inference.GRPCInferenceService") => {
    const definition = loader.loadSync(join(root, "proto", file), {
      keepCase: true,
      longs: Number,
      enums: String,
    });
    const Service = service
      .split(".")
      .reduce((at, name) => at[name] as GrpcJs.GrpcObject, grpc.loadPackageDefinition(definition));
    const options = { "grpc.max_send_message_length": -1, "grpc.max_receive_message_length": -1 };
    const make = Service as unknown as new (...args: unknown[]) => Client;
    const client = new make(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
    clients.push(client);
    return client;
  };
}

export interface Asked {
  promise: Promise<Message>;
  call: GrpcJs.ClientUnaryCall;
}

export function begin(client: Client, method: string, message: Message, deadlineMs?: number): Asked {
  let call: GrpcJs.ClientUnaryCall | undefined;
  const promise = new Promise<Message>((resolve, reject) => {
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const done = (error: Error | null, reply: Message): void => (error ? reject(error) : resolve(reply));
    call = client[method](message, options, done);
  });
  return { promise, call: call! };
}
