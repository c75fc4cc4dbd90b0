/** A server: models behind HTTP, and behind gRPC where its packages are installed. */

import { ConfigError } from "../index.ts";
import type { Log } from "../index.ts";
import { Catalog } from "./catalog.ts";
import { GrpcServer, findGrpc } from "./grpc-server.ts";
import { HttpServer } from "./http-server.ts";
import { Budget, DEFAULT_LIMITS } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { Router } from "./router.ts";
import type { Source } from "./sources.ts";
import { findSpans } from "./spans.ts";
import { statusOf } from "./status.ts";

export interface ServerOptions {
  /** What there is to serve, looked at anew whenever somebody asks. */
  sources: () => readonly Source[];
  host: string;
  /** 0 is a free one. */
  port: number;
  /** The same for gRPC. "auto": 8001, and none where its packages are missing. null: no gRPC. */
  grpcPort: number | "auto" | null;
  /** Whether clients may load and unload models. */
  mayChange: boolean;
  /** ms that requests have for their end when the server ends. */
  drainMs: number;
  /** ms until a model that was lost is loaded anew. Default 30 000. */
  reviveMs?: number;
  limits?: Partial<Limits>;
  log: Log;
  /** Whether every request is logged. Default false. */
  logsRequests?: boolean;
  /** trtpipe's version. */
  version: string;
}

/** Where a server can be reached. */
export interface Listening {
  address: string;
  port: number;
  /** null: there is no gRPC here. */
  grpcPort: number | null;
}

export class InferenceServer {
  readonly #options: ServerOptions;
  readonly #catalog: Catalog;
  readonly #http: HttpServer;
  readonly #grpc: GrpcServer | null = null;
  readonly #metrics: Metrics;
  #draining = false;
  #ending: Promise<boolean> | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    const { sources, mayChange, log, version } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const budget = new Budget(limits.bufferedBytes);
    const changed = (): void => this.#grpc?.modelsChanged();
    const { reviveMs = REVIVE_MS } = options;
    this.#catalog = new Catalog({ sources, mayChange, reviveMs, log, spans: findSpans(), changed });
    const measured = {
      catalog: this.#catalog,
      version,
      connections: () => this.#http.connections,
      isReady: () => this.ready,
    };
    this.#metrics = new Metrics({ ...measured, bufferedBytes: () => budget.used });
    const router = new Router({
      catalog: this.#catalog,
      limits,
      version,
      isDraining: () => this.#draining,
      metrics: () => this.#metrics.text(),
      status: () => statusOf(measured),
    });
    const { logsRequests = false } = options;
    this.#http = new HttpServer({ router, limits, budget, log, logsRequests });
    const isDraining = (): boolean => this.#draining;
    const packages = options.grpcPort === null ? null : findGrpc();
    if (packages === null && typeof options.grpcPort === "number") {
      throw new ConfigError("grpcPort", options.grpcPort, `no gRPC, or its packages: ${INSTALL_GRPC}`);
    }
    const shared = { catalog: this.#catalog, limits, budget, version, isDraining, log };
    this.#grpc = packages && new GrpcServer(shared, packages);
  }

  get ready(): boolean {
    return this.#catalog.ready && !this.#draining;
  }

  /** Listens, and answers that it is not ready yet. Rejects if the address cannot be had. */
  async listen(): Promise<Listening> {
    const { host, port, grpcPort } = this.#options;
    const { address, port: httpPort } = await this.#http.listen(port, host);
    try {
      const wanted = grpcPort === "auto" ? GRPC_PORT : (grpcPort ?? 0);
      const bound = this.#grpc === null ? null : await this.#grpc.listen(wanted, host);
      const listening = { address, port: httpPort, grpcPort: bound };
      this.#options.log("info", `Listening at ${address}, port ${httpPort}, and loading`, { ...listening });
      return listening;
    } catch (error) {
      this.#http.destroy();
      throw error;
    }
  }

  /** Loads all models; the server is ready then. Rejects with the first failure. */
  async load(): Promise<void> {
    await this.#catalog.loadAll();
  }

  /** Not ready, then drained, then gone. Resolves with whether every request got its answer in time. */
  close(): Promise<boolean> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<boolean> {
    this.#draining = true;
    const { drainMs, log } = this.#options;
    const drain = (): Promise<unknown> => Promise.all([this.#http.drain(), this.#grpc?.drain()]);
    const drained = await endsWithin(drain(), drainMs);
    if (!drained) {
      log("error", `Requests were still running after ${drainMs} ms and are given up`, { drainMs });
      this.#http.abort();
      this.#grpc?.abort();
      // They are told so, if they read it soon.
      await endsWithin(drain(), ABORT_MS);
    }
    this.#http.destroy();
    this.#grpc?.destroy();
    const closed = await endsWithin(this.#catalog.close(), CLOSE_MS);
    this.#metrics.end();
    return drained && closed;
  }
}

export const INSTALL_GRPC = "npm install @grpc/grpc-js @grpc/proto-loader";
const GRPC_PORT = 8001;
const REVIVE_MS = 30_000;
const ABORT_MS = 500;
/** Nothing is left to run but what nobody waits for any more. */
const CLOSE_MS = 5000;

async function endsWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([promise.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
