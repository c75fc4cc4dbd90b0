/** The routes on node:http, which is the same in Node, Bun and Deno: sockets, bodies, limits and endings. */

import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Server as Listener } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Connections, answerRaw } from "./connections.ts";
import { ClientGone, RequestError } from "./failure.ts";
import { HttpExchange } from "./http-exchange.ts";
import type { HttpOptions } from "./http-exchange.ts";

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
    this.#server = createServer(
      { maxHeaderSize: limits.headerBytes, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
      (request, response) => this.#serve(request, response),
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
      this.#listener.once("error", reject);
      this.#listener.listen(port, host, () => {
        this.#listener.off("error", reject);
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
    const exchange = new HttpExchange(request, response, this.#options, () => this.#draining);
    this.#connections.begin(request.socket, exchange);
    response.on("close", () => {
      if (!response.writableFinished) exchange.cancel.cancel(new ClientGone());
      this.#connections.end(request.socket, exchange);
    });
    void exchange.serve();
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
