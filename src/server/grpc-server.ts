/** The protocol over gRPC, by the optional packages @grpc/grpc-js and @grpc/proto-loader. */

import { createRequire } from "node:module";
import type * as GrpcJs from "@grpc/grpc-js";
import type { ServerUnaryCall, UntypedServiceImplementation, sendUnaryData } from "@grpc/grpc-js";
import type * as ProtoLoader from "@grpc/proto-loader";
import type { Log } from "../index.ts";
import { Cancel } from "./cancel.ts";
import type { Catalog } from "./catalog.ts";
import { EXTENSIONS, configOf, metadataOf, statsOf } from "./describe.ts";
import { Messages } from "./grpc-body.ts";
import { ClientGone, Grpc, RequestError, failureOf } from "./failure.ts";
import { setUpConnections } from "./grpc-connections.ts";
import { loadService } from "./grpc-definition.ts";
import { Health } from "./grpc-health.ts";
import { grpcReply, readGrpcRequest } from "./grpc-request.ts";
import type { InferMessage } from "./grpc-message.ts";
import { InferStream } from "./grpc-stream.ts";
import type { InferRequest } from "./infer-request.ts";
import type { StreamCall } from "./grpc-stream.ts";
import type { Budget, Limits } from "./limits.ts";
import { ListenError } from "./listen-error.ts";
import type { ServedModel } from "./served-model.ts";

export interface GrpcPackages {
  grpc: typeof GrpcJs;
  loader: typeof ProtoLoader;
}

/** null: they are not installed. */
export function findGrpc(): GrpcPackages | null {
  const require = createRequire(import.meta.url);
  try {
    return {
      grpc: require("@grpc/grpc-js") as typeof GrpcJs,
      loader: require("@grpc/proto-loader") as typeof ProtoLoader,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}

export interface GrpcOptions {
  catalog: Catalog;
  limits: Limits;
  budget: Budget;
  version: string;
  isDraining: () => boolean;
  log: Log;
}

interface Named {
  name: string;
  version: string;
}

type Unary = (request: never, cancel: Cancel, call: AnyCall) => object | Promise<object>;
type UnaryCall = ServerUnaryCall<unknown, object>;
type AnyCall = UnaryCall | StreamCall;

export class GrpcServer {
  readonly #options: GrpcOptions;
  readonly #packages: GrpcPackages;
  readonly #server: GrpcJs.Server;
  readonly #messages: Messages;
  readonly #cancels = new Set<Cancel>();
  readonly #streams = new Set<InferStream>();
  readonly #health: Health;

  constructor(options: GrpcOptions, packages: GrpcPackages) {
    this.#options = options;
    this.#packages = packages;
    this.#messages = new Messages(options.budget, options.limits, () =>
      options.log("warn", "Cannot read gRPC in pieces: large requests take longer, and more memory", {}),
    );
    // What it would write to stderr by itself is no line of JSON, and comes as an error besides.
    packages.grpc.setLogger({
      error: (text: unknown) => options.log("debug", `grpc-js: ${String(text)}`, {}),
    });
    this.#server = new packages.grpc.Server({
      "grpc.max_receive_message_length": options.limits.bodyBytes,
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": 256,
      // Books on every connection and call, which nobody reads.
      "grpc.enable_channelz": 0,
      // A client that is gone without a word is noticed.
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      interceptors: [this.#messages.interceptor],
    });
    const inference = loadService(packages.loader, "inference.proto", "inference.GRPCInferenceService");
    this.#server.addService(inference, this.#handlers());
    const health = new Health(() => options.catalog.ready && !options.isDraining());
    this.#server.addService(loadService(packages.loader, "health.proto", "grpc.health.v1.Health"), {
      Check: health.check.bind(health),
      Watch: health.watch.bind(health),
    });
    this.#health = health;
  }

  /** Somebody may be waiting to hear that models came or went. */
  modelsChanged(): void {
    this.#health.update();
  }

  /** Resolves with the port. */
  listen(port: number, host: string): Promise<number> {
    const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const credentials = this.#packages.grpc.ServerCredentials.createInsecure();
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, bound) => {
        if (error) return reject(new ListenError("gRPC", host, port, "--grpc-port", error));
        if (!setUpConnections(this.#server, this.#options.limits.connections)) {
          const text = "Cannot set up connections of gRPC: large requests take longer, and any number comes";
          this.#options.log("warn", text, {});
        }
        resolve(bound);
      });
    });
  }

  /** Takes no new calls, and resolves when the last one has ended. Streams end with their last answer. */
  drain(): Promise<void> {
    this.#health.end();
    for (const stream of this.#streams) void stream.shutDown();
    return new Promise((resolve) => this.#server.tryShutdown(() => resolve()));
  }

  abort(): void {
    const reason = new RequestError(503, "The server is shutting down");
    for (const cancel of this.#cancels) cancel.cancel(reason);
  }

  destroy(): void {
    this.#messages.destroy();
    this.#server.forceShutdown();
  }

  #handlers(): UntypedServiceImplementation {
    const { catalog, version, isDraining } = this.#options;
    const find = ({ name, version: wanted }: Named) => catalog.find(name, wanted || undefined);
    const unary: Record<string, Unary> = {
      ServerLive: () => ({ live: true }),
      ServerReady: () => ({ ready: catalog.ready && !isDraining() }),
      ModelReady: ({ name, version: wanted }: Named) => ({
        ready: catalog.isReady(name, wanted || undefined) && !isDraining(),
      }),
      ServerMetadata: () => ({ name: "trtpipe", version, extensions: EXTENSIONS }),
      ModelMetadata: (named: Named) => metadataOf(find(named), catalog.versions(named.name)),
      ModelConfig: (named: Named) => ({ config: configOf(find(named)) }),
      ModelStatistics: (named: Named) => ({
        model_stats: (named.name === "" ? catalog.models() : [find(named)]).map(statsOf),
      }),
      ModelInfer: (message: InferMessage, cancel, call) => this.#infer(message, cancel, call),
      RepositoryIndex: ({ ready }: { ready: boolean }) => ({
        models: catalog.index().filter(({ state }) => !ready || state === "READY"),
      }),
      RepositoryModelLoad: async ({ model_name, parameters }: { model_name: string; parameters: object }) => {
        const [parameter] = Object.keys(parameters);
        if (parameter !== undefined)
          throw new RequestError(400, `Cannot load with the parameter "${parameter}"`);
        await catalog.load(model_name);
        return {};
      },
      RepositoryModelUnload: async ({ model_name }: { model_name: string }) => {
        await catalog.unload(model_name);
        return {};
      },
    };
    const handlers: UntypedServiceImplementation = {
      ModelStreamInfer: (call: StreamCall) => this.#stream(call),
    };
    for (const [name, handler] of Object.entries(unary)) {
      handlers[name] = (call: UnaryCall, callback: sendUnaryData<object>) =>
        void this.#answer(name, handler, call, callback);
    }
    return handlers;
  }

  async #answer(
    name: string,
    handler: Unary,
    call: UnaryCall,
    callback: sendUnaryData<object>,
  ): Promise<void> {
    const cancel = this.#cancel(call);
    try {
      callback(null, await handler(call.request as never, cancel, call));
    } catch (error) {
      this.#logFailure(name, error);
      const { grpc, message } = failureOf(error);
      callback({ code: grpc, details: message });
    } finally {
      cancel.end();
      this.#cancels.delete(cancel);
    }
  }

  #stream(call: StreamCall): void {
    const running = new Set<Cancel>();
    const infer = async (message: InferMessage): Promise<object> => {
      const cancel = new Cancel();
      if (call.cancelled) cancel.cancel(new ClientGone());
      running.add(cancel);
      this.#cancels.add(cancel);
      try {
        return await this.#infer(message, cancel, call);
      } finally {
        running.delete(cancel);
        this.#cancels.delete(cancel);
      }
    };
    const stream = new InferStream(call, infer, (error) => this.#logFailure("ModelStreamInfer", error));
    this.#streams.add(stream);
    call.on("finish", () => this.#streams.delete(stream));
    call.on("cancelled", () => {
      this.#streams.delete(stream);
      for (const cancel of running) cancel.cancel(new ClientGone());
    });
  }

  async #infer(message: InferMessage, cancel: Cancel, call: AnyCall): Promise<object> {
    const { catalog } = this.#options;
    try {
      const model = catalog.find(message.model_name, message.model_version || undefined);
      const request = this.#read(message, model, call);
      const tensors = await model.infer(request, {
        protocol: "grpc",
        cancel,
        body: message,
        get headers() {
          return call.metadata.getMap();
        },
      });
      return grpcReply(model, request, tensors);
    } finally {
      // Where it was refused, its bytes are still there.
      message.drop();
    }
  }

  #read(message: InferMessage, model: ServedModel, call: AnyCall): InferRequest {
    const startMs = performance.now();
    try {
      const request = readGrpcRequest(message, this.#options.limits);
      const leftMs = deadlineMs(call);
      if (leftMs <= 0) throw new RequestError(504, "The deadline has passed");
      if (leftMs < (request.timeoutMs ?? Infinity)) request.timeoutMs = leftMs;
      return request;
    } catch (error) {
      model.countFailure("grpc", error, startMs);
      throw error;
    }
  }

  #cancel(call: UnaryCall): Cancel {
    const cancel = new Cancel();
    // Told of calls that were answered, too.
    call.on("cancelled", () => {
      if (!cancel.isOver) cancel.cancel(new ClientGone());
    });
    this.#cancels.add(cancel);
    return cancel;
  }

  #logFailure(name: string, error: unknown): void {
    const { grpc } = failureOf(error);
    if (grpc !== Grpc.internal) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log("error", `Cannot answer ${name}`, { error: text });
  }
}

/** ms until a call's deadline; Infinity without one. */
function deadlineMs(call: AnyCall): number {
  const deadline = call.getDeadline();
  const atMs = deadline instanceof Date ? deadline.getTime() : deadline;
  // Beyond what a timer can wait, it is as good as none.
  return atMs - Date.now() < 2 ** 31 ? atMs - Date.now() : Infinity;
}
