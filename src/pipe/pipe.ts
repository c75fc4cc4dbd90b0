/** `pipe(config)`: loads a model on instance threads and returns the function that callers call. */

import { loadNative } from "../native/load.ts";
import type { Native } from "../native/library.ts";
import { shareOf } from "./attach.ts";
import { callable } from "./callable.ts";
import { Caller } from "./caller.ts";
import { threadClock } from "../native/clock.ts";
import { parseConfig } from "./config.ts";
import type { ParsedConfig } from "./config.ts";
import { describePipe } from "./describe.ts";
import { loadMessage } from "./load-message.ts";
import { Owner } from "./owner.ts";
import { readStats } from "./stats.ts";
import type { Pipe, PipeConfig, PipeOptions } from "./types.ts";
import { workerUrl } from "./worker-url.ts";

/**
 * Loads a model and makes it callable by any number of callers at once.
 *
 * Resolves when all instances are warmed up. Rejects with ConfigError (a key or value is wrong),
 * ModelLoadError (a library, the model's file or the engine) or the reason of `options.signal`. Nothing
 * blocks the calling thread's event loop.
 */
export async function pipe(config: PipeConfig, options: PipeOptions = {}): Promise<Pipe> {
  const { signal } = options;
  signal?.throwIfAborted();
  const parsed = parseConfig(config);
  const native = loadNative();
  const owner = new Owner(parsed, native, workerUrl(parsed.workerUrl));
  const onAbort = (): void => void owner.terminate();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await owner.load(loadMessage(parsed, native.path));
    signal?.throwIfAborted();
    return open(owner, parsed, native);
  } catch (error) {
    await owner.terminate();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The first channel is the owner's. */
function open(owner: Owner, config: ParsedConfig, native: Native): Pipe {
  const { pool, channels, spec, model } = owner.loaded;
  const channel = channels[0];
  channel.claim();
  const { spinUs } = config;
  const nowMs = threadClock(native);
  const caller = new Caller({
    pool,
    channel,
    spec,
    results: native,
    spinUs,
    nowMs,
    isOwnerAlive: () => true,
  });
  owner.open(caller);
  const description = describePipe(config, spec, model, native.binding);
  const shared = shareOf(owner.loaded, config, description, owner.watch);
  return callable(caller, {
    describe: () => description,
    stats: () => readStats(pool, caller, owner.restarts),
    share: () => shared,
    close: () => owner.close(),
  });
}
