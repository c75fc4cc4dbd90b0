/** The services, from the package's .proto files, with the parsing of their messages. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ServiceDefinition } from "@grpc/grpc-js";
import type * as ProtoLoader from "@grpc/proto-loader";
import { Message } from "./grpc-body.ts";
import { readInferMessage } from "./grpc-message.ts";

/** Those that take a ModelInferRequest. */
const INFERENCE = new Set(["ModelInfer", "ModelStreamInfer"]);

export function loadService(loader: typeof ProtoLoader, file: string, service: string): ServiceDefinition {
  const options = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
  const definition = loader.loadSync(protoPath(file), options)[service] as ServiceDefinition;
  const methods = Object.entries(definition).map(([name, method]) => {
    const { requestDeserialize: parse } = method;
    const requestDeserialize = (message: Message | Buffer): object =>
      INFERENCE.has(name)
        ? readInferMessage(parse, message)
        : parse(message instanceof Message ? message.join() : message);
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

/** Beside the package's own files: this code is in src/server/, or bundled into dist/. */
function protoPath(file: string): string {
  const places = [`../proto/${file}`, `../../proto/${file}`];
  const paths = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`Cannot find ${file} at ${paths.join(" or ")}`);
  return found;
}
