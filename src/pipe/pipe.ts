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
  const aborted = new AbortWait(signal);
  try {
    await Promise.race([owner.load(loadMessage(parsed, native.path)), aborted.promise]);
    signal?.throwIfAborted();
    return open(owner, parsed, native);
  } catch (error) {
    const gone = owner.leave();
    // Who gives up does not wait: an engine that is loading comes to its end and is then closed.
    if (!signal?.aborted) await gone;
    throw error;
  } finally {
    aborted.end();
  }
}

/** Rejects with the signal's reason when it is aborted. */
class AbortWait {
  readonly promise: Promise<never>;
  readonly #signal: AbortSignal | undefined;
  #onAbort = (): void => {};

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.promise = new Promise((_, reject) => {
      this.#onAbort = () => reject(signal?.reason as Error);
    });
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  end(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
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
  owner.open(caller, nowMs);
  const description = describePipe(config, spec, model, native.binding);
  const shared = shareOf(owner.loaded, config, description, owner.watch);
  return callable(caller, {
    describe: () => description,
    stats: () => readStats(pool, caller, owner.restarts),
    share: () => shared,
    close: () => owner.close(),
  });
}
