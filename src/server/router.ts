/** The routes: method, URL, headers and body in, an answer out. Knows nothing of sockets. */

import type { Body } from "./body.ts";
import type { Cancel } from "./cancel.ts";
import type { Catalog } from "./catalog.ts";
import { EXTENSIONS, configOf, metadataOf, statsOf } from "./describe.ts";
import { RequestError } from "./failure.ts";
import { jsonReply, textReply } from "./http-reply.ts";
import type { HttpReply } from "./http-reply.ts";
import type { InferRequest } from "./infer-request.ts";
import { isObject, parseJson } from "./json.ts";
import type { Limits } from "./limits.ts";
import { pageReply } from "./page.ts";
import { RequestReader, readRaw } from "./request-reader.ts";
import type { ServerStatus } from "./status.ts";

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface RouterOptions {
  catalog: Catalog;
  limits: Limits;
  version: string;
  /** Whether requests are still wanted. */
  isDraining: () => boolean;
  metrics: () => string;
  status: () => ServerStatus;
}

/** A request, its path split and decoded. */
interface Call {
  method: string;
  headers: Headers;
  body: Body;
  cancel: Cancel;
}

type Handler = (call: Call) => HttpReply | Promise<HttpReply>;
/** By method. */
type Handlers = Readonly<Record<string, Handler>>;

/** URLs whose handlers are remembered: clients ask for the same few again and again. */
const ROUTES_MAX = 256;
const ROUTE_BYTES_MAX = 256;

export class Router {
  readonly #options: RouterOptions;
  readonly #reader: RequestReader;
  readonly #routes = new Map<string, Handlers>();

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#reader = new RequestReader(options.limits);
  }

  /** Answers one request. Throws or rejects with whatever went wrong: `errorReply` makes an answer of it. */
  handle(
    method: string,
    url: string,
    headers: Headers,
    body: Body,
    cancel: Cancel,
  ): HttpReply | Promise<HttpReply> {
    const { urlBytes } = this.#options.limits;
    if (url.length > urlBytes)
      throw new RequestError(414, `Cannot accept a URL of more than ${urlBytes} bytes`);
    const methods = this.#routes.get(url) ?? this.#route(url);
    const handler = methods[method === "HEAD" ? "GET" : method];
    if (handler === undefined) {
      const allow = Object.keys(methods)
        .map((one) => (one === "GET" ? "GET, HEAD" : one))
        .join(", ");
      throw new RequestError(405, `Cannot use ${method} here: expected ${allow}`, { allow });
    }
    return handler({ method, headers, body, cancel });
  }

  /** The handlers of a URL. They hold names alone, no models, so they can be remembered. */
  #route(url: string): Handlers {
    const path = splitPath(url);
    const methods = this.#find(path);
    if (methods === undefined) throw new RequestError(404, `Cannot find ${shownPath(path)}`);
    if (this.#routes.size >= ROUTES_MAX) this.#routes.clear();
    if (url.length <= ROUTE_BYTES_MAX) this.#routes.set(url, methods);
    return methods;
  }

  #find(path: readonly string[]): Handlers | undefined {
    const [root, area, ...rest] = path;
    if (root === undefined) return { GET: pageReply };
    if (path.length === 1 && root === "status.json") return { GET: () => this.#status() };
    if (path.length === 1 && root === "metrics") {
      const type = "text/plain; version=0.0.4; charset=utf-8";
      return { GET: () => textReply(this.#options.metrics(), type) };
    }
    if (root !== "v2") return undefined;
    if (area === undefined) return { GET: () => this.#server() };
    if (area === "health" && rest.length === 1) return this.#health(rest[0]);
    if (area === "models") return this.#models(rest);
    return area === "repository" ? this.#repository(rest) : undefined;
  }

  #server(): HttpReply {
    return jsonReply({ name: "trtpipe", version: this.#options.version, extensions: EXTENSIONS });
  }

  #status(): HttpReply {
    const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
    return jsonReply(this.#options.status(), 200, headers);
  }

  #health(what: string): Handlers | undefined {
    if (what === "live") return { GET: () => jsonReply({ live: true }) };
    if (what !== "ready") return undefined;
    return {
      GET: () => {
        const ready = this.#options.catalog.ready && !this.#options.isDraining();
        return jsonReply({ ready }, ready ? 200 : 503);
      },
    };
  }

  #models(path: readonly string[]): Handlers | undefined {
    const { catalog } = this.#options;
    if (path.length === 1 && path[0] === "stats") {
      return { GET: () => jsonReply({ model_stats: catalog.models().map(statsOf) }) };
    }
    const [name, ...rest] = path;
    const versioned = rest[0] === "versions" && rest.length >= 2;
    const version = versioned ? rest[1] : undefined;
    const [action, ...more] = versioned ? rest.slice(2) : rest;
    if (name === undefined || more.length > 0) return undefined;
    switch (action) {
      case undefined:
        return { GET: () => jsonReply(metadataOf(catalog.find(name, version), catalog.versions(name))) };
      case "ready":
        return { GET: () => this.#modelReady(name, version) };
      case "config":
        return { GET: () => jsonReply(configOf(catalog.find(name, version))) };
      case "stats":
        return { GET: () => jsonReply({ model_stats: [statsOf(catalog.find(name, version))] }) };
      case "infer":
        return { POST: (call) => this.#infer(name, version, call) };
      default:
        return undefined;
    }
  }

  #modelReady(name: string, version: string | undefined): HttpReply {
    const { catalog, isDraining } = this.#options;
    if (!catalog.isReady(name, version)) catalog.find(name, version);
    const ready = catalog.isReady(name, version) && !isDraining();
    return jsonReply({ name, ready }, ready ? 200 : 503);
  }

  async #infer(name: string, version: string | undefined, call: Call): Promise<HttpReply> {
    const model = this.#options.catalog.find(name, version);
    const { body, headers, cancel } = call;
    const length = headers["inference-header-content-length"];
    const startMs = performance.now();
    let request: InferRequest;
    try {
      request =
        length === "0" && body.bytes > 0
          ? readRaw(model.description, body.chunks)
          : this.#reader.read(body.chunks, length === undefined ? undefined : String(length));
    } catch (error) {
      model.countFailure("http", error, startMs);
      throw error;
    }
    const tensors = await model.infer(request, { protocol: "http", cancel, body, headers });
    return model.replies.write(request, tensors);
  }

  #repository(path: readonly string[]): Handlers | undefined {
    const { catalog } = this.#options;
    if (path.length === 1 && path[0] === "index") return { POST: (call) => this.#index(call) };
    const [models, name, action] = path;
    if (models !== "models" || path.length !== 3) return undefined;
    if (action === "load") {
      return {
        POST: async (call) => {
          this.#checkLoad(call);
          await catalog.load(name);
          return jsonReply({});
        },
      };
    }
    if (action !== "unload") return undefined;
    return {
      POST: async () => {
        await catalog.unload(name);
        return jsonReply({});
      },
    };
  }

  #index({ body }: Call): HttpReply {
    const { catalog, limits } = this.#options;
    const asked = body.bytes === 0 ? {} : parseJson(Buffer.concat(body.chunks), limits);
    const onlyReady = isObject(asked) && asked.ready === true;
    return jsonReply(catalog.index().filter(({ state }) => !onlyReady || state === "READY"));
  }

  /** A client may choose what is loaded, and never how or from where. */
  #checkLoad({ body }: Call): void {
    const asked = body.bytes === 0 ? {} : parseJson(Buffer.concat(body.chunks), this.#options.limits);
    const parameters = isObject(asked) && isObject(asked.parameters) ? Object.keys(asked.parameters) : [];
    if (parameters.length === 0) return;
    throw new RequestError(
      400,
      `Cannot load with the parameter "${parameters[0].slice(0, 60)}": none is supported`,
    );
  }
}

/**
 * Segments of the path, decoded; each is compared with names, never with files. Proxies may send whole URLs.
 */
function splitPath(url: string): string[] {
  const [path] = url.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1);
  try {
    return path.replace(/\/$/, "").split("/").slice(1).map(decodeURIComponent);
  } catch {
    throw new RequestError(400, "Cannot read the URL: it is not percent-encoded UTF-8");
  }
}

function shownPath(path: readonly string[]): string {
  return JSON.stringify(`/${path.join("/")}`.slice(0, 120));
}
