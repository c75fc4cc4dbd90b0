/** The routes on node:http, which is the same in Node, Bun and Deno: sockets, bodies, limits and endings. */

import { METHODS, createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Server as Listener } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { announcesTooMuch } from "./body.ts";
import { Connections, answerRaw } from "./connections.ts";
import { ClientGone, RequestError } from "./failure.ts";
import { HttpExchange } from "./http-exchange.ts";
import type { HttpOptions } from "./http-exchange.ts";
import { ListenError } from "./listen-error.ts";

export class HttpServer {
  readonly #options: HttpOptions;
  readonly #server: Server;
  /** Closed as a net.Server: an HTTP server would close idle connections, and what they bring is lost. */
  readonly #listener: Listener;
  readonly #connections: Connections;
  #draining = false;

  constructor(options: HttpOptions) {
    this.#options = options;
    const { limits } = options;
    this.#connections = new Connections(limits);
    const server = createServer(
      {
        maxHeaderSize: limits.headerBytes,
        keepAliveTimeout: 0,
        requestTimeout: 0,
        headersTimeout: 0,
        // Answered by us, in all runtimes alike.
        requireHostHeader: false,
      },
      (request, response) => this.#serve(request, response),
    );
    this.#server = server;
    // Time limits are kept by Connections, alike in all runtimes.
    this.#server.timeout = 0;
    this.#listener = listenerFor(this.#server, (socket) => this.#connections.add(socket));
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      // Whoever asks first need not send what is refused.
      if (!announcesTooMuch(request.headers, limits)) response.writeContinue();
      this.#serve(request, response);
    });
    server.on("checkExpectation", (request, response) => this.#serve(request, response));
    server.on("connect", (_, socket) => refuseMethod(socket as Socket, "CONNECT"));
    server.on("clientError", (error, socket) => answerError(error, socket as Socket));
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
    this.#connections.cancel(new RequestError(503, "The server is shutting down"));
  }

  destroy(): void {
    this.#connections.destroy();
    this.#stopListening();
  }

  #stopListening(): void {
    if (!this.#listener.listening) return;
    Listener.prototype.close.call(this.#listener);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    // Not before the last that was sent without waiting for an answer: nothing is answered after it.
    const isLast = (): boolean => this.#draining && this.#connections.isLast(request.socket, exchange);
    const exchange = new HttpExchange(request, response, this.#options, isLast);
    this.#connections.begin(request.socket, exchange);
    response.on("close", () => {
      if (!response.writableFinished) exchange.cancel.cancel(new ClientGone());
      this.#connections.end(request.socket, exchange);
    });
    exchange.serve();
  }
}

/** What came is no request that the runtime can read. */
function answerError(error: NodeJS.ErrnoException & { rawPacket?: Uint8Array }, socket: Socket): void {
  if (error.code === "HPE_HEADER_OVERFLOW") return answerRaw(socket, 431, "The headers are too large");
  const head = Buffer.from(error.rawPacket?.subarray(0, 8192) ?? []).toString("latin1");
  const method = /^([A-Z]{1,32}) \S+ HTTP\/1\.[01]\r\n/.exec(head)?.[1];
  if (method !== undefined && !METHODS.includes(method)) refuseMethod(socket, method);
  else answerRaw(socket, 400, "This is not HTTP");
}

function refuseMethod(socket: Socket, method: string): void {
  answerRaw(socket, 405, `Cannot use ${method} here: expected GET, HEAD, POST`, ["allow: GET, HEAD, POST"]);
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
