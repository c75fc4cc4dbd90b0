/** `trtpipe serve MODEL`: models behind the Open Inference Protocol, until the process is asked to end. */

import type { ArgsDef } from "citty";
import { INSTALL_GRPC, InferenceServer } from "../server/server.ts";
import { jsonLog } from "../server/log.ts";
import type { LogLevel } from "../server/log.ts";
import { findSources } from "../server/sources.ts";
import { numberOf } from "./arguments.ts";
import { FAILED, OK, makeCommand, type Command } from "./command.ts";
import { markLessOften } from "./garbage.ts";
import { orphaned } from "./orphan.ts";
import { pipeArgs, pipeKeysOf } from "./pipe-args.ts";
import type { Terminal } from "./terminal.ts";

/** The package's version; the bundler puts it in. */
declare const __VERSION__: string;

const args = {
  model: { type: "positional", required: true, description: "a model, a .toml file, or a folder of either" },
  host: { type: "string", default: "127.0.0.1", description: "address to listen at", valueHint: "ADDRESS" },
  port: { type: "string", default: "8000", description: "port of HTTP, 0 for a free one", valueHint: "PORT" },
  "grpc-port": {
    type: "string",
    description: "port of gRPC, or off; 8001, if @grpc/grpc-js and @grpc/proto-loader are installed",
    valueHint: "PORT",
  },
  name: { type: "string", description: "name of the only model, in place of its file's", valueHint: "NAME" },
  versions: {
    type: "enum",
    default: "latest",
    options: ["latest", "all"],
    description: "which versions of a model in a folder are loaded",
    valueHint: "latest|all",
  },
  "model-control": { type: "boolean", description: "let clients load and unload models" },
  "drain-timeout": {
    type: "string",
    default: "30000",
    description: "ms that requests have for their end on SIGTERM",
    valueHint: "MS",
  },
  "max-body": { type: "string", description: "bytes of the largest request body", valueHint: "BYTES" },
  "max-buffered": { type: "string", description: "bytes of all request bodies together", valueHint: "BYTES" },
  "max-connections": { type: "string", description: "connections at a time", valueHint: "N" },
  "log-level": {
    type: "enum",
    default: "info",
    options: ["debug", "info", "warn", "error"],
    description: "debug logs every request",
    valueHint: "LEVEL",
  },
  ...pipeArgs,
} as const satisfies ArgsDef;

const BYTES_MAX = 2 ** 40;

export const command: Command = makeCommand({
  name: "serve",
  about: "Serve models over HTTP and gRPC, with the Open Inference Protocol",
  args,
  examples: [
    ["resnet18.onnx --instance-num 2 --max 4 --batching-timeout 5", "one model"],
    ["models.toml --port 8080", "the models of a file, one table each"],
    ["models/ --host 0.0.0.0", "a folder with NAME/1/model.onnx, for everybody who can reach this machine"],
  ],
  run: async (given, terminal) => {
    // For models whose own configuration does not say otherwise.
    const defaults = pipeKeysOf(given);
    const versions = given.versions === "all" ? "all" : "latest";
    const sources = () => findSources(given.model, defaults, versions, given.name);
    // What is wrong with the command line, or a configuration, is told before anything is started.
    const wrong = sources().find(({ error }) => error !== undefined);
    if (wrong !== undefined) throw wrong.error;
    markLessOften();
    const limit = (name: "max-body" | "max-buffered" | "max-connections", max: number) =>
      given[name] === undefined ? undefined : numberOf(`--${name}`, given[name], 1, max);
    const limits = {
      bodyBytes: limit("max-body", BYTES_MAX),
      bufferedBytes: limit("max-buffered", BYTES_MAX),
      connections: limit("max-connections", 1_000_000),
    };
    const server = new InferenceServer({
      sources,
      // An address of IPv6 as URLs have it, too.
      host: given.host.replace(/^\[(.+)\]$/, "$1"),
      port: numberOf("--port", given.port, 0, 65_535),
      grpcPort: grpcPortOf(given["grpc-port"]),
      mayChange: given["model-control"] === true,
      drainMs: numberOf("--drain-timeout", given["drain-timeout"], 0, 2 ** 31 - 1),
      limits: Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
      log: jsonLog(given["log-level"] as LogLevel, (line) => void process.stderr.write(line)),
      logsRequests: given["log-level"] === "debug",
      version: __VERSION__,
    });
    terminal.goOnUnread();
    const without = given["grpc-port"] === "off" ? "without gRPC" : `without gRPC (${INSTALL_GRPC})`;
    return serve(server, { json: given.json === true, without }, terminal);
  },
});

function grpcPortOf(given: string | undefined): number | "auto" | null {
  if (given === undefined) return "auto";
  return given === "off" ? null : numberOf("--grpc-port", given, 0, 65_535);
}

/** Serves until the terminal's signal, or npm's end. Resolves with the exit status. */
async function serve(
  server: InferenceServer,
  { json, without }: { json: boolean; without: string },
  terminal: Terminal,
): Promise<number> {
  const signalled = new Promise<void>((resolve) => {
    if (terminal.signal.aborted) resolve();
    terminal.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const stopped = Promise.race([signalled, orphaned()]);
  const { address, port, grpcPort } = await server.listen();
  const host = address.includes(":") ? `[${address}]` : address;
  const http = `http://${host}:${port}`;
  const grpc = grpcPort === null ? null : `${host}:${grpcPort}`;
  try {
    const loaded = await Promise.race([server.load().then(() => true), stopped.then(() => false)]);
    if (loaded) {
      const also = grpc === null ? without : `gRPC at ${grpc}`;
      terminal.out(json ? JSON.stringify({ http, grpc }) : `Serving at ${http}, ${also}`);
      await stopped;
    }
  } catch (error) {
    await server.close();
    throw error;
  }
  return (await server.close()) ? OK : FAILED;
}
