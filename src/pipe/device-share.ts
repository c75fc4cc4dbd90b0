/** `share()` and `attach()` of device tensors: what travels between the threads of a process. */

import process from "node:process";
import { ConfigError } from "../errors.ts";
import type { Dtype } from "./types.ts";

/** What `share()` gives: plain data. Opaque; pass it to `DeviceTensor.attach`. */
export interface SharedDeviceTensor {
  readonly trtpipe: number;
  readonly pid: number;
}

/** Grows when the contents of a shared tensor change. */
const SHARED_VERSION = 1;

export interface SharedContents extends SharedDeviceTensor {
  library: string;
  handle: number;
  shape: readonly number[];
  dtype: Dtype;
}

/** What `share()` gives, from all but what is the same for all tensors. */
export function shareContents(fields: Omit<SharedContents, keyof SharedDeviceTensor>): SharedContents {
  return { trtpipe: SHARED_VERSION, pid: process.pid, ...fields };
}

/** What another thread's `share()` gave. Throws ConfigError if it is something else. */
export function checkShared(shared: SharedDeviceTensor): SharedContents {
  const contents = shared as SharedContents;
  if (typeof contents !== "object" || contents === null || contents.handle >>> 0 !== contents.handle) {
    throw new ConfigError("shared", shared, "what a DeviceTensor's share() gave");
  }
  if (contents.trtpipe !== SHARED_VERSION) {
    throw new ConfigError("shared.trtpipe", contents.trtpipe, `version ${SHARED_VERSION}`, {
      hint: "both threads must run the same version of trtpipe",
    });
  }
  if (contents.pid === process.pid) return contents;
  throw new ConfigError("shared.pid", contents.pid, `a tensor of this process, ${process.pid}`, {
    hint: "device memory does not travel between processes",
  });
}
