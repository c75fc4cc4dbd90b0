/**
 * Watches the sockets of an HTTP server. Runtimes differ in which time limits they have, so all of them are
 * kept here, by one timer that looks at every connection.
 */

import type { Socket } from "node:net";
import type { Body } from "./body.ts";
import type { Cancel } from "./cancel.ts";
import type { Limits } from "./limits.ts";

/** A request that is being read, run or answered. */
export interface Exchange {
  phase: "body" | "run" | "reply";
  /** When this phase began. */
  sinceMs: number;
  body: Body;
  /** Bytes of the answer. */
  replyBytes: number;
  /** Ends the exchange: its client is too slow. */
  tooSlow(): void;
  readonly cancel: Cancel;
}

interface Connection {
  socket: Socket;
  /** One, but where a client sends more before it has read the answer. No Set: each deletion is garbage. */
  exchanges: Exchange[];
  /** Whether it has brought a request. */
  served: boolean;
  /** Since when it waits for a request, and how many bytes it had brought by then. */
  idleSinceMs: number;
  bytesAtIdle: number;
}

export const LOOK_EVERY_MS = 100;
/** How long a connection may go on bringing requests while the server ends. */
const DRAIN_IDLE_MS = 200;
/** How long a client may take to close its side of a connection. */
const CLOSE_MS = 200;

export class Connections {
  readonly #limits: Limits;
  readonly #all = new Map<Socket, Connection>();
  readonly #timer: NodeJS.Timeout;
  /** Since when the server ends; Infinity: it does not. */
  #drainingSinceMs = Infinity;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  get count(): number {
    return this.#all.size;
  }

  /** False: there are too many, and the socket was told so. */
  add(socket: Socket): boolean {
    socket.on("error", () => socket.destroy());
    if (this.#all.size >= this.#limits.connections && !this.#makeRoom()) {
      answerRaw(socket, 503, "Too many connections");
      return false;
    }
    const idleSinceMs = performance.now();
    this.#all.set(socket, { socket, exchanges: [], served: false, idleSinceMs, bytesAtIdle: 0 });
    socket.once("close", () => this.#all.delete(socket));
    return true;
  }

  begin(socket: Socket, exchange: Exchange): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.served = true;
    connection.exchanges.push(exchange);
  }

  end(socket: Socket, exchange: Exchange): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    const { exchanges } = connection;
    if (exchanges.at(-1) === exchange) exchanges.pop();
    else exchanges.splice(exchanges.indexOf(exchange) >>> 0, 1);
    connection.idleSinceMs = performance.now();
    connection.bytesAtIdle = socket.bytesRead;
  }

  /** Whether nothing that came on this connection is still to be answered after `exchange`. */
  isLast(socket: Socket, exchange: Exchange): boolean {
    const exchanges = this.#all.get(socket)?.exchanges;
    return exchanges === undefined || exchanges.at(-1) === exchange;
  }

  /**
   * From now on a connection that brings no request goes soon, also one that has long been idle: its client
   * may just be sending. Resolves when all are gone.
   */
  async drain(): Promise<void> {
    this.#drainingSinceMs = performance.now();
    this.#timer.ref();
    while (this.#all.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Ends all exchanges. */
  cancel(reason: Error): void {
    for (const { exchanges } of this.#all.values()) for (const one of exchanges) one.cancel.cancel(reason);
  }

  destroy(): void {
    clearInterval(this.#timer);
    for (const { socket } of this.#all.values()) socket.destroy();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const connection of this.#all.values()) {
      if (connection.exchanges.length === 0) this.#lookAtIdle(connection, nowMs);
      for (const exchange of connection.exchanges) {
        if (this.#isSlow(exchange, nowMs)) exchange.tooSlow();
      }
    }
  }

  #lookAtIdle(connection: Connection, nowMs: number): void {
    const { socket, served, idleSinceMs, bytesAtIdle } = connection;
    const { headerMs, idleMs } = this.#limits;
    const usualMs = idleSinceMs + (served ? idleMs : headerMs);
    const drainMs = Math.max(idleSinceMs, this.#drainingSinceMs) + DRAIN_IDLE_MS;
    const overMs = nowMs - Math.min(usualMs, drainMs);
    if (overMs <= 0) return;
    // Whoever does not close its own side is not waited for.
    if (overMs > CLOSE_MS) socket.destroy();
    // A part of the headers came. Deno does not always count it, and then there is no word with the end.
    else if (socket.bytesRead > bytesAtIdle) answerRaw(socket, 408, "Too slow");
    else setImmediate(() => endIdle(connection));
  }

  #isSlow({ phase, sinceMs, body, replyBytes }: Exchange, nowMs: number): boolean {
    const { transferMs, transferBytesPerS } = this.#limits;
    const overMs = nowMs - sinceMs - transferMs;
    if (phase === "run" || overMs <= 0) return false;
    const expected = (overMs / 1000) * transferBytesPerS;
    return expected > (phase === "body" ? body.received : replyBytes);
  }

  /** Ends the connection that has waited for longest, if one waits. */
  #makeRoom(): boolean {
    let oldest: Connection | undefined;
    for (const connection of this.#all.values()) {
      if (connection.exchanges.length > 0) continue;
      if (oldest === undefined || connection.idleSinceMs < oldest.idleSinceMs) oldest = connection;
    }
    if (oldest === undefined) return false;
    this.#all.delete(oldest.socket);
    oldest.socket.destroy();
    return true;
  }
}

/** After everything that has come was read: a request may have been among it. */
function endIdle({ socket, exchanges, bytesAtIdle }: Connection): void {
  if (exchanges.length === 0 && socket.bytesRead === bytesAtIdle) socket.end();
}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

/** Answers where there is no request to answer, and ends the connection. */
export function answerRaw(
  socket: Socket,
  status: number,
  message: string,
  headers: readonly string[] = status === 503 ? ["retry-after: 1"] : [],
): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = JSON.stringify({ error: message });
  const more = headers.map((header) => `${header}\r\n`).join("");
  socket.end(
    `HTTP/1.1 ${status} ${reasons[status]}\r\ncontent-type: application/json\r\n${more}` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
