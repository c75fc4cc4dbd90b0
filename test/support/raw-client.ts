/** A client that speaks bytes, to say what no honest client says. */

import { connect } from "node:net";
import type { Socket } from "node:net";
import { within } from "./pipes.ts";

export class RawClient {
  readonly socket: Socket;
  /** All that came. */
  text = "";
  readonly closed: Promise<void>;

  /** `keeps`: it does not close its side when the server closes its own. */
  constructor(port: number, keeps = false) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: keeps });
    this.socket.on("data", (chunk: Uint8Array) => (this.text += Buffer.from(chunk).toString("latin1")));
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Everything that the server says until it closes the connection. */
  async untilClosed(): Promise<string> {
    await within(this.closed, "the connection");
    return this.text;
  }

  /** Waits for as many answers as there are status lines. */
  async statuses(count: number): Promise<number[]> {
    const found = (): number[] =>
      [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code));
    for (let i = 0; i < 500 && found().length < count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return found();
  }

  end(): void {
    this.socket.destroy();
  }
}

/** Head of a POST. */
export function post(path: string, headers: readonly string[]): string {
  return [`POST ${path} HTTP/1.1`, "Host: test", ...headers, "", ""].join("\r\n");
}
