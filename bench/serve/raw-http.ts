/**
 * One connection that asks and waits, asks and waits: as little HTTP/1.1 as that takes, so that the client
 * costs the same for every server, and not much.
 */

import { connect } from "node:net";
import type { Socket } from "node:net";
import { numberOf } from "./wire.ts";
import type { RawAnswer, WireFormat } from "./wire.ts";

interface Waiting {
  resolve(answer: RawAnswer): void;
  reject(error: Error): void;
}

export class RawConnection {
  readonly #socket: Socket;
  #waiting: Waiting | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the answer that is being read: its head, and where its body ends; -1 until that is known. */
  #head = "";
  #bodyFrom = 0;
  #end = -1;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("The server closed the connection")));
  }

  send(request: Buffer): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error("The connection is closed"));
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#end === -1) this.#readHead();
    if (this.#end === -1 || this.#bytes < this.#end) return;
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const answer = {
      status: Number(this.#head.slice(9, 12)),
      head: this.#head,
      body: all.subarray(this.#bodyFrom, this.#end),
    };
    this.#chunks = [];
    this.#bytes = 0;
    this.#end = -1;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(answer);
  }

  #readHead(): void {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    const end = all.indexOf("\r\n\r\n");
    if (end === -1) return;
    this.#head = all.toString("latin1", 0, end + 2).toLowerCase();
    this.#bodyFrom = end + 4;
    try {
      this.#end = this.#bodyFrom + numberOf(this.#head, "content-length");
    } catch (error) {
      this.#fail(error as Error);
      this.#socket.destroy();
    }
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}

/** A request as it goes over the wire, made once and sent often. */
export function wireBytes({ path, contentType, headers, body }: WireFormat, port: number): Buffer {
  const head =
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${contentType}\r\n` +
    `${headers}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
