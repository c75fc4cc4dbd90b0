/** Where a pipe's messages go when nobody asked for them. */

import type { Log } from "./types.ts";

/** Warnings and errors to stderr, one line each. */
export const logToStderr: Log = (level, text) => {
  if (level === "warn" || level === "error") console.error(`trtpipe: ${text}`);
};
