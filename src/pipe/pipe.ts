/** `pipe(config)`: loads a model on instance threads and returns the function that callers call. */

import { slowCaller } from "../hooks.ts";
import { loadNative } from "../native/load.ts";
import type { Native } from "../native/library.ts";
import { AbortWait } from "./abort-wait.ts";
import { shareOf } from "./attach.ts";
import { BuildWatch } from "./build-watch.ts";
import { spinUsOf } from "./busy-wait.ts";
import { callable } from "./callable.ts";
import { Caller } from "./caller.ts";
import { threadClock } from "../native/clock.ts";
import { parseConfig } from "./config.ts";
import type { ParsedConfig } from "./config.ts";
import { describePipe } from "./describe.ts";
import { loadMessage } from "./load-message.ts";
import { Notice } from "./notice.ts";
import { Owner } from "./owner.ts";
import { readStats } from "./stats.ts";
import type { ReloadOptions } from "./reload-options.ts";
import type { Pipe, PipeConfig, PipeDescription, PipeOptions } from "./types.ts";
import { workerUrl } from "./worker-url.ts";

/**
 * Loads a model and makes it callable by any number of callers at once.
 *
 * Resolves when all instances are warmed up. Rejects with ConfigError (a key or value is wrong),
 * ModelLoadError (a library, the model's file or the engine) or the reason of `options.signal`. Nothing
 * blocks the calling thread's event loop.
 */
export async function pipe(config: PipeConfig, options: PipeOptions = {}): Promise<Pipe> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const parsed = parseConfig(config);
  const native = loadNative();
  const owner = new Owner(parsed, native, workerUrl(parsed.workerUrl));
  const aborted = new AbortWait(signal ?? null);
  const watch = new BuildWatch(native, onProgress);
  try {
    await Promise.race([owner.load(loadMessage(parsed, native.path, watch.handle)), aborted.promise]);
    signal?.throwIfAborted();
    return open(owner, parsed, native);
  } catch (error) {
    const ended = signal?.aborted === true && watch.cancel();
    const gone = owner.leave();
    // Who gives up does not wait for an engine that is loading: it comes to its end and is then closed. A
    // build ends at once, and its files are gone before the caller goes on.
    if (!signal?.aborted || ended) await gone;
    throw error;
  } finally {
    aborted.end();
    watch.end();
  }
}

/** The first channel is the owner's. */
function open(owner: Owner, config: ParsedConfig, native: Native): Pipe {
  const { pool, channels, spec } = owner.loaded;
  const channel = channels[0];
  channel.claim();
  const spinUs = spinUsOf(config, owner.loaded.model.backend);
  const nowMs = threadClock(native);
  if (owner.hooks !== null) slowCaller(owner.hooks, channel, nowMs);
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
  const describe = (): PipeDescription =>
    describePipe(owner.config, owner.loaded, native.binding, pool.reloads);
  const notice = new Notice(pool);
  let description = describe();
  notice.write(description);
  const shared = shareOf(owner.loaded, config, description, owner.watch, notice);
  const calls = callable(caller, {
    describe: () => description,
    stats: () => readStats(pool, caller, owner.restarts),
    share: () => shared,
    close: () => owner.close(),
  });
  const reload = async (options: ReloadOptions = {}): Promise<void> => {
    await owner.reload(options);
    description = { ...describe(), reloads: pool.reloads + 1 };
    notice.write(description);
  };
  return Object.assign(calls, { reload });
}
