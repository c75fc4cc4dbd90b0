/** Where the instance threads' script is. */

import { pathToFileURL } from "node:url";
import { ConfigError } from "../errors.ts";
import { environment } from "../native/locate.ts";

/** The built file's name beside the one that this code is built into; each format has its own. */
declare const __WORKER__: string;

/** `configured` (the key `workerUrl`), else TRTPIPE_WORKER, else the file beside this one. */
export function workerUrl(configured: string | URL | null): URL {
  if (configured !== null) return toUrl("workerUrl", configured);
  const fromEnvironment = environment("TRTPIPE_WORKER");
  if (fromEnvironment) return toUrl("TRTPIPE_WORKER", fromEnvironment);
  return new URL(__WORKER__, import.meta.url);
}

function toUrl(field: string, value: string | URL): URL {
  const url =
    value instanceof URL ? value : value.startsWith("file:") ? new URL(value) : pathToFileURL(value);
  if (url.protocol !== "file:") throw new ConfigError(field, url.href, "a path or a file URL");
  return url;
}
