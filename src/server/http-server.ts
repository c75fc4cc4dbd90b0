/** The routes on node:http, which is the same in Node, Bun and Deno: sockets, bodies, limits and endings. */

import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Server as Listener } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Log } from "../index.ts";
import { Body, readBody, tooLarge } from "./body.ts";
import { compress } from "./compress.ts";
import { Connections, answerRaw } from "./connections.ts";
import type { Exchange } from "./connections.ts";
import { ClientGone, RequestError, failureOf } from "./failure.ts";
import { errorReply } from "./http-reply.ts";
import type { HttpReply } from "./http-reply.ts";
import type { Budget, Limits } from "./limits.ts";
import { ListenError } from "./listen-error.ts";
import type { Router } from "./router.ts";

export interface HttpOptions {
  router: Router;
  limits: Limits;
  budget: Budget;
  log: Log;
}

/** How long the rest of a body that is not wanted may still come, so that its client reads the answer. */
const LINGER_MS = 500;

export class HttpServer {
  readonly #options: HttpOptions;
  readonly #server: Server;
  /** Closed as a net.Server: an HTTP server would close idle connections, and what they bring is lost. */
  readonly #listener: Listener;
  readonly #connections: Connections;
  readonly #aborters = new Set<AbortController>();
  #draining = false;

  constructor(options: HttpOptions) {
    this.#options = options;
    const { limits } = options;
    this.#connections = new Connections(limits);
    this.#server = createServer(
      { maxHeaderSize: limits.headerBytes, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
      (request, response) => void this.#serve(request, response),
    );
    // Time limits are kept by Connections, alike in all runtimes.
    this.#server.timeout = 0;
    this.#listener = listenerFor(this.#server, (socket) => this.#connections.add(socket));
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      const tooMuch = error.code === "HPE_HEADER_OVERFLOW";
      answerRaw(
        socket as Socket,
        tooMuch ? 431 : 400,
        tooMuch ? "The headers are too large" : "This is not HTTP",
      );
    });
  }

  get connections(): number {
    return this.#connections.count;
  }

  /** Resolves with the address that is listened at. */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(new ListenError("HTTP", host, port, "--port", error));
      this.#listener.once("error", fail);
      this.#listener.listen(port, host, () => {
        this.#listener.off("error", fail);
        resolve(this.#listener.address() as AddressInfo);
      });
    });
  }

  /** Takes no new connections, answers what came on the others, and resolves when they are gone. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#stopListening();
    await this.#connections.drain();
  }

  /** Gives up whatever is still going on. */
  abort(): void {
    for (const aborter of this.#aborters) aborter.abort(new RequestError(503, "The server is shutting down"));
  }

  destroy(): void {
    this.#connections.destroy();
    this.#stopListening();
  }

  #stopListening(): void {
    if (!this.#listener.listening) return;
    Listener.prototype.close.call(this.#listener);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startMs = performance.now();
    const aborter = new AbortController();
    const body = new Body(this.#options.budget, this.#options.limits);
    const exchange: Exchange = {
      phase: "body",
      sinceMs: startMs,
      body,
      replyBytes: 0,
      tooSlow: () => aborter.abort(slowness(exchange, request.socket)),
    };
    this.#connections.begin(request.socket, exchange);
    this.#aborters.add(aborter);
    response.once("close", () => {
      if (!response.writableFinished) aborter.abort(new ClientGone());
      this.#aborters.delete(aborter);
      this.#connections.end(request.socket, exchange);
    });
    try {
      const reply = await this.#answer(request, exchange, aborter.signal).catch((error: unknown) => {
        this.#logFailure(request, error);
        return errorReply(error);
      });
      if (reply.status === 499 || response.destroyed) return;
      exchange.phase = "reply";
      exchange.sinceMs = performance.now();
      this.#write(request, response, reply, exchange);
      this.#logRequest(request, reply, startMs);
    } finally {
      body.drop();
    }
  }

  async #answer(request: IncomingMessage, exchange: Exchange, signal: AbortSignal): Promise<HttpReply> {
    const { router, limits } = this.#options;
    const { headers, method = "GET", url = "/" } = request;
    const { body } = exchange;
    if (Number(headers["content-length"] ?? 0) > limits.bodyBytes && !headers["content-encoding"]) {
      throw tooLarge(limits);
    }
    await untilAborted(readBody(request, headers["content-encoding"], body), signal);
    exchange.phase = "run";
    const reply = await router.handle(method, url, headers, body, signal);
    const accept = headers["accept-encoding"];
    return compress(reply, Array.isArray(accept) ? accept.join(",") : accept);
  }

  #write(request: IncomingMessage, response: ServerResponse, reply: HttpReply, exchange: Exchange): void {
    const bytes = reply.body.reduce((sum, chunk) => sum + chunk.length, 0);
    exchange.replyBytes = bytes;
    const unread = !request.complete;
    // Not before the last that was sent without waiting for an answer: nothing is answered after it.
    const ends = this.#draining && this.#connections.isLast(request.socket, exchange);
    const close = ends || unread ? { connection: "close" } : {};
    response.writeHead(reply.status, { ...reply.headers, "content-length": String(bytes), ...close });
    if (request.method !== "HEAD") for (const chunk of reply.body) response.write(chunk);
    if (unread) linger(request, response);
    else response.end();
  }

  #logFailure(request: IncomingMessage, error: unknown): void {
    const failure = failureOf(error);
    if (failure.http !== 500) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log("error", `Cannot answer ${request.method} ${request.url}`, { error: text });
  }

  #logRequest({ method, url, socket }: IncomingMessage, { status }: HttpReply, startMs: number): void {
    const ms = Number((performance.now() - startMs).toFixed(2));
    const fields = { method, url: url?.slice(0, 200), status, ms, remote: socket.remoteAddress };
    this.#options.log("debug", `${method} ${fields.url} ${status}`, fields);
  }
}

/**
 * What listens for `server`, and gives each connection to `add` first. Bun's HTTP server neither counts bytes
 * nor can be closed without its connections, so there a plain server takes them. In Deno a connection
 * that was taken so is lost when the plain server is closed.
 */
function listenerFor(server: Server, add: (socket: Socket) => boolean): Listener {
  if (process.versions.bun === undefined) {
    server.prependListener("connection", add);
    return server;
  }
  return new Listener({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (add(socket)) server.emit("connection", socket);
  });
}

/** What a client that is too slow is told, if it can still be told anything. */
function slowness({ phase }: Exchange, socket: Socket): Error {
  if (phase === "body") return new RequestError(408, "Cannot wait for the rest of the body any longer");
  socket.destroy();
  return new ClientGone();
}

/** The promise's outcome, or the signal's reason as soon as it is aborted. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Reads on for a moment and forgets what comes. A connection that is closed while its client still sends is
 * reset, and the answer is lost with it.
 */
function linger(request: IncomingMessage, response: ServerResponse): void {
  request.removeAllListeners("data");
  request.on("error", () => {});
  request.once("end", () => response.end());
  request.resume();
  // The end of the answer ends the connection.
  setTimeout(() => response.end(), LINGER_MS).unref();
}
