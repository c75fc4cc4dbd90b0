/** `share()` and `attach(shared)`: how other threads of the process call the same pipe. */

import { isMainThread } from "node:worker_threads";
import { ConfigError, PipeClosedError, show } from "../errors.ts";
import { readHooks, slowCaller } from "../hooks.ts";
import { Channel } from "../memory/channel.ts";
import type { ChannelBuffers, MemoryShape } from "../memory/layout.ts";
import { Gate, Pool } from "../memory/pool.ts";
import { threadClock } from "../native/clock.ts";
import { NativeError } from "../native/library.ts";
import type { Native } from "../native/library.ts";
import { loadNative } from "../native/load.ts";
import { environment } from "../native/locate.ts";
import { callable } from "./callable.ts";
import { spinUsOf } from "./busy-wait.ts";
import { Caller } from "./caller.ts";
import type { ParsedConfig } from "./config.ts";
import { Notice } from "./notice.ts";
import type { ModelSpec } from "./spec.ts";
import { readStats } from "./stats.ts";
import { sweep } from "./sweep.ts";
import type { Answered, AttachedPipe, CallOptions, PipeDescription, PipeInput, SharedPipe } from "./types.ts";

/** Grows when the contents of a shared pipe change. */
const SHARED_VERSION = 2;

/** What a shared pipe really is: everything plain, so that it can be posted. */
interface SharedContents extends SharedPipe {
  library: string;
  pool: SharedArrayBuffer;
  shape: MemoryShape;
  channels: readonly ChannelBuffers[];
  spec: ModelSpec;
  spinUs: number;
  /** Watch on the thread that owns the pipe. */
  owner: number;
  description: PipeDescription;
  /** What reloads change of the description; see Notice. */
  notice: SharedArrayBuffer;
}

export function shareOf(
  loaded: {
    pool: Pool;
    shape: MemoryShape;
    buffers: readonly ChannelBuffers[];
    spec: ModelSpec;
    model: { library: string; backend: string };
  },
  config: ParsedConfig,
  description: PipeDescription,
  owner: number,
  notice: Notice,
): SharedPipe {
  const contents: SharedContents = {
    trtpipe: SHARED_VERSION,
    pid: process.pid,
    library: loaded.model.library,
    pool: loaded.pool.buffer,
    shape: loaded.shape,
    channels: loaded.buffers,
    spec: loaded.spec,
    spinUs: spinUsOf(config, loaded.model.backend),
    owner,
    description,
    notice: notice.buffer,
  };
  return contents;
}

/**
 * Makes a pipe callable from this thread, with what `share()` gave. Takes one of the pipe's `max_callers`
 * places until `close()`, or until the thread ends.
 *
 * Throws ConfigError if `shared` is not of a pipe of this process and version, or if all places are taken;
 * PipeClosedError if the pipe was closed.
 */
export function attach(shared: SharedPipe): AttachedPipe {
  const contents = checked(shared);
  const pool = new Pool(contents.shape, contents.pool);
  const native = loadNative(contents.library);
  if (pool.gate !== Gate.open || !isAlive(native, contents.owner)) throw new PipeClosedError();
  const channel = claimChannel(contents, native);
  const nowMs = threadClock(native);
  const { spec, spinUs, description } = contents;
  const hooks = readHooks(environment);
  if (hooks !== null) slowCaller(hooks, channel, nowMs);
  const isOwnerAlive = (): boolean => isAlive(native, contents.owner);
  const caller = new Caller({ pool, channel, spec, results: native, spinUs, nowMs, isOwnerAlive });
  let closing: Promise<void> | null = null;
  const pipe = callable(caller, {
    describe: () => ({ ...description, ...new Notice(pool, contents.notice).read() }),
    stats: () => readStats(pool, caller, 0),
    share: () => contents,
    close: () => (closing ??= detach(caller, channel, native)),
  });
  return Object.assign(pipe, {
    sync: <I extends PipeInput>(input: I, options?: CallOptions) => sync(caller, input, options),
  });
}

function sync<I extends PipeInput>(caller: Caller, input: I, options: CallOptions | undefined): Answered<I> {
  if (isMainThread) {
    throw new ConfigError("sync", "a call on the main thread", "a Worker: it would block the event loop", {
      hint: "use await models(input)",
    });
  }
  return caller.sync(input, options);
}

/** Gives this thread's place back; the pipe goes on. */
async function detach(caller: Caller, channel: Channel, native: Native): Promise<void> {
  caller.refuse(() => new PipeClosedError("Cannot use a pipe that this thread has left"));
  await caller.whenIdle();
  caller.dismiss();
  // In this order: a channel whose watch has ended counts as a dead thread's, which somebody may inherit. So
  // one of which a hung call has slots is left to whoever comes when they are back.
  const watch = channel.watch;
  if (caller.quarantined === 0) channel.release();
  native.threadUnwatch(watch);
}

function checked(shared: SharedPipe): SharedContents {
  const contents = shared as SharedContents;
  if (typeof contents !== "object" || contents === null || !(contents.pool instanceof SharedArrayBuffer)) {
    throw new ConfigError("shared", shared, "what a pipe's share() gave");
  }
  if (contents.trtpipe !== SHARED_VERSION) {
    throw new ConfigError("shared.trtpipe", contents.trtpipe, `version ${SHARED_VERSION}`, {
      hint: "both threads must run the same version of trtpipe",
    });
  }
  if (contents.pid !== process.pid) {
    throw new ConfigError("shared.pid", contents.pid, `a pipe of this process, ${process.pid}`, {
      hint: "each process makes its own pipe",
    });
  }
  return contents;
}

/**
 * Whether a watched thread lives. A watch that was ended says that the pipe was closed, which is as good as
 * no.
 */
export function isAlive(native: Native, watch: number): boolean {
  try {
    return native.threadAlive(watch);
  } catch {
    return false;
  }
}

/** Looks at the table until a place is found: others may come and go meanwhile, so one look is not enough. */
const LOOKS = 3;

/** A free channel, or one whose thread ended with nothing left in flight. */
function claimChannel(contents: SharedContents, native: Native): Channel {
  const { channels, shape } = contents;
  for (let look = 0; look < LOOKS; look++) {
    for (let index = 0; index < channels.length; index++) {
      const channel = new Channel(index, shape, channels[index]);
      if (takeChannel(contents.spec, channel, native)) return channel;
    }
  }
  throw new ConfigError("max_callers", show(channels.length), "more places than threads that attach", {
    hint: "all of them are taken",
  });
}

function takeChannel(spec: ModelSpec, channel: Channel, native: Native): boolean {
  if (channel.claim()) {
    channel.watch = native.threadWatch();
    return true;
  }
  const watch = channel.watch;
  if (watch === 0 || isAlive(native, watch)) return false;
  const mine = native.threadWatch();
  const inherited = channel.inherit(watch, mine);
  endWatch(native, inherited ? watch : mine);
  if (inherited) sweep(spec, channel, native);
  return inherited;
}

/** Ends a watch, unless the thread that left its channel behind has done so. */
function endWatch(native: Native, watch: number): void {
  try {
    native.threadUnwatch(watch);
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
  }
}
