/** One request over HTTP, from its headers to the last byte of its answer. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../index.ts";
import { Body, announcesTooMuch, readBody, tooLarge } from "./body.ts";
import { Cancel } from "./cancel.ts";
import { compress } from "./compress.ts";
import type { Exchange } from "./connections.ts";
import { ClientGone, RequestError, failureOf } from "./failure.ts";
import { errorReply } from "./http-reply.ts";
import type { HttpReply } from "./http-reply.ts";
import type { Budget, Limits } from "./limits.ts";
import type { Router } from "./router.ts";

export interface HttpOptions {
  router: Router;
  limits: Limits;
  budget: Budget;
  log: Log;
  /** Whether every request is logged. */
  logsRequests: boolean;
}

/** How long the rest of a body that is not wanted may still come, so that its client reads the answer. */
const LINGER_MS = 500;

export class HttpExchange implements Exchange {
  phase: Exchange["phase"] = "body";
  sinceMs: number = performance.now();
  replyBytes = 0;
  readonly body: Body;
  readonly cancel: Cancel = new Cancel();
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: HttpOptions;
  readonly #isLast: () => boolean;

  /** `isLast`: whether the connection is to end with the answer. */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: HttpOptions,
    isLast: () => boolean,
  ) {
    this.body = new Body(options.budget, options.limits);
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.#isLast = isLast;
  }

  /** What a client that is too slow is told, if it can still be told anything. */
  tooSlow(): void {
    if (this.phase === "body") {
      return this.cancel.cancel(new RequestError(408, "Cannot wait for the rest of the body any longer"));
    }
    this.#request.socket.destroy();
    this.cancel.cancel(new ClientGone());
  }

  /** Reads, and once the body is there, runs and answers. Never throws for what a client does. */
  serve(): void {
    const request = this.#request;
    const { headers } = request;
    const { limits } = this.#options;
    const refuse = (error: unknown): void => {
      if (this.phase === "body") this.#answer(this.#failed(error));
    };
    try {
      if (headers.host === undefined && request.httpVersionMinor > 0) {
        throw new RequestError(400, "Cannot accept a request of HTTP/1.1 without a Host header");
      }
      if (announcesTooMuch(headers, limits)) throw tooLarge(limits);
      this.cancel.listen(refuse);
      readBody(request, headers["content-encoding"], this.body, () => void this.#run(), refuse);
    } catch (error) {
      refuse(error);
    }
  }

  async #run(): Promise<void> {
    if (this.phase !== "body") return;
    this.phase = "run";
    const { method = "GET", url = "/", headers } = this.#request;
    let reply: HttpReply;
    try {
      reply = await this.#options.router.handle(method, url, headers, this.body, this.cancel);
      const accept = headers["accept-encoding"];
      if (accept !== undefined) reply = await compress(reply, String(accept));
    } catch (error) {
      reply = this.#failed(error);
    }
    this.#answer(reply);
  }

  #answer(reply: HttpReply): void {
    const startMs = this.sinceMs;
    this.phase = "reply";
    this.body.drop();
    if (reply.status === 499 || this.#response.destroyed) return;
    this.sinceMs = performance.now();
    this.#write(reply);
    if (this.#options.logsRequests) this.#logRequest(reply, this.sinceMs - startMs);
  }

  #failed(error: unknown): HttpReply {
    this.#logFailure(error);
    return errorReply(error);
  }

  #write({ status, headers, body }: HttpReply): void {
    const request = this.#request;
    const response = this.#response;
    const bytes = body.length === 1 ? body[0].length : body.reduce((sum, chunk) => sum + chunk.length, 0);
    this.replyBytes = bytes;
    const unread = !request.complete;
    headers["content-length"] = String(bytes);
    if (unread || this.#isLast()) headers.connection = "close";
    response.writeHead(status, headers);
    const wanted = request.method === "HEAD" ? [] : body;
    // One piece goes out with the headers.
    if (wanted.length === 1 && !unread) return void response.end(wanted[0]);
    for (const chunk of wanted) response.write(chunk);
    if (unread) linger(request, response);
    else response.end();
  }

  #logFailure(error: unknown): void {
    const failure = failureOf(error);
    if (failure.http !== 500) return;
    const { method, url } = this.#request;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log("error", `Cannot answer ${method} ${url}`, { error: text });
  }

  #logRequest({ status }: HttpReply, tookMs: number): void {
    const { method, url, socket } = this.#request;
    const ms = Number(tookMs.toFixed(2));
    const fields = { method, url: url?.slice(0, 200), status, ms, remote: socket.remoteAddress };
    this.#options.log("debug", `${method} ${fields.url} ${status}`, fields);
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
