/**
 * An instance thread's entry: the one place where a backend meets the scheduler. It loads the model if it is
 * asked to, makes its instance, checks it if it is asked to, warms it up, and then serves until the pipe
 * closes or another thread takes its place, which it has waited for if it takes another's place itself.
 */

import { parentPort } from "node:worker_threads";
import { Engine } from "./backends/engine.ts";
import { loadModel } from "./backends/load.ts";
import { checkRows } from "./backends/self-check.ts";
import { InvariantError, toPlainError } from "./errors.ts";
import { hold, slowRuns } from "./hooks.ts";
import { Channel } from "./memory/channel.ts";
import { Pool, State } from "./memory/pool.ts";
import { threadClock } from "./native/clock.ts";
import type { Native } from "./native/library.ts";
import { loadNative } from "./native/load.ts";
import type { FromInstance, HeldMemory, ServeMessage, StartMessage, ToInstance } from "./protocol.ts";
import { serve } from "./scheduler/instance.ts";

if (parentPort === null) throw new InvariantError("the instance thread was not started as a Worker");
const port = parentPort;

const report = (message: FromInstance): void => port.postMessage(message);

/** An instance that is made and does not serve yet. */
interface Made {
  message: StartMessage;
  native: Native;
  pool: Pool;
  channels: readonly Channel[];
  engine: Engine;
}

let waiting: Made | null = null;

function start(message: StartMessage): void {
  const native = loadNative(message.library);
  const pool = new Pool(message.shape, message.pool);
  const channels = message.channels.map((buffers, index) => new Channel(index, message.shape, buffers));
  const made = { message, native, pool, channels, engine: new Engine(native, message, channels) };
  if (message.servedRows !== null) return run(made, message.servedRows);
  waiting = made;
  const { check } = message;
  const found = check === null ? null : checkRows(made.engine, message, check);
  report({ kind: "made", check: found, handle: made.engine.handle, block: message.block });
}

function run({ message, native, pool, channels, engine }: Made, maxRows: number): void {
  try {
    engine.warmUp(message.warmUp, maxRows);
  } catch (error) {
    engine.destroy();
    throw error;
  }
  const { instance, ticket, block } = message;
  const held: HeldMemory = { handle: engine.handle, block };
  if (ticket !== 0) {
    report({ kind: "prepared", ...held });
    if (!pool.awaitTurn(instance, ticket)) {
      engine.destroy();
      return leave();
    }
  }
  pool.setState(instance, State.idle);
  report({ kind: "ready", ...held });
  try {
    const { hooks } = message;
    const nowMs = threadClock(native);
    if (hooks !== null) hold(hooks, pool, channels);
    serve({
      pool,
      channels,
      me: instance,
      limits: { maxRows, batchingTimeoutMs: message.batchingTimeoutMs },
      spinUs: message.spinUs,
      nowMs,
      execute:
        hooks === null
          ? engine.execute
          : slowRuns(hooks, message.instance, engine.execute, nowMs, () => process.exit(1)),
      discard: engine.discard,
      wakeWatchdog: () => report({ kind: "running" }),
    });
  } finally {
    engine.destroy();
  }
  leave();
}

/** From being made to serving. */
function serveAfterAll({ servedRows }: ServeMessage): void {
  if (waiting === null) throw new InvariantError("an instance that was not made is to serve");
  const made = waiting;
  waiting = null;
  run(made, servedRows);
}

/** Ends this thread; what was posted before still arrives. */
function leave(): void {
  waiting?.engine.destroy();
  report({ kind: "closed" });
  process.exit(0);
}

port.on("message", (message: ToInstance) => {
  try {
    if (message.kind === "load") report(loadModel(loadNative(message.library), message));
    else if (message.kind === "start") start(message);
    else if (message.kind === "serve") serveAfterAll(message);
    else leave();
  } catch (error) {
    waiting?.engine.destroy();
    report({ kind: "failed", error: toPlainError(error) });
    process.exit(1);
  }
});
