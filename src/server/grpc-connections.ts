/** Connections of gRPC: how many, and how much a client may send before it must wait for this side. */

import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/**
 * For each stream. HTTP/2's default is 64 KiB: an image of 602 KB then takes ten round trips, and each wakes
 * both processes. It holds nothing back: grpc-js reads a message as it comes, up to its largest size.
 */
export const STREAM_BYTES: number = 4 * 2 ** 20;
/** For all streams of a connection. */
export const CONNECTION_BYTES: number = 16 * 2 ** 20;

/**
 * Of one frame. HTTP/2's default is 16 KiB: the same image then comes in 37 frames, and each is handed on by
 * itself. Clients of C++, Python and Java make use of it; others, as those of Go and Node, stay with 16 KiB.
 */
export const FRAME_BYTES: number = 256 * 1024;

/**
 * For connections to come; call it when the server listens. grpc-js has an option for its clients and none
 * for its servers, so this asks the HTTP/2 servers that it keeps. False if it keeps them elsewhere.
 */
export function setUpConnections(server: Server, connections: number): boolean {
  const { http2Servers } = server as unknown as { http2Servers?: ReadonlyMap<Http2Server, unknown> };
  if (!(http2Servers instanceof Map) || http2Servers.size === 0) return false;
  let open = 0;
  for (const http2 of http2Servers.keys()) {
    http2.updateSettings({ initialWindowSize: STREAM_BYTES, maxFrameSize: FRAME_BYTES });
    http2.on("session", (session: ServerHttp2Session) => {
      // Clients of gRPC keep theirs, so no other is idle for being silent.
      if (open >= connections) return session.destroy();
      open++;
      session.once("close", () => open--);
      if (widensConnections()) session.setLocalWindowSize(CONNECTION_BYTES);
    });
  }
  return true;
}

/** Bun 1.4 never gives a client its bytes back once the connection's window was set: large requests stop. */
export function widensConnections(): boolean {
  return process.versions.bun === undefined;
}
