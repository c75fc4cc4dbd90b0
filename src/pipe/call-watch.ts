/** Watches a pipe's native calls, while it runs and at the end of the process. On the owner's thread. */

import type { Pool } from "../memory/pool.ts";
import { NativeError } from "../native/library.ts";
import type { Native } from "../native/library.ts";
import type { FromInstance, HeldMemory } from "../protocol.ts";
import type { Supervisor } from "../scheduler/supervise.ts";
import { INTERRUPT_MS, Watchdog } from "../scheduler/watchdog.ts";
import type { ParsedConfig } from "./config.ts";
import { guardExit, unguardExit } from "./exit.ts";
import type { Guarded } from "./exit.ts";

export class CallWatch {
  readonly #native: Native;
  readonly #supervisor: Supervisor<FromInstance>;
  readonly #held: ReadonlyMap<number, HeldMemory>;
  readonly #watchdog: Watchdog;
  readonly #guarded: Guarded;

  /** `nowMs` is the common clock, `held` what each thread has, by its number. */
  constructor(
    pool: Pool,
    config: ParsedConfig,
    nowMs: () => number,
    native: Native,
    supervisor: Supervisor<FromInstance>,
    held: ReadonlyMap<number, HeldMemory>,
  ) {
    this.#native = native;
    this.#supervisor = supervisor;
    this.#held = held;
    // Child processes keep to the bound themselves.
    const runTimeoutMs = config.backend?.process ? 0 : config.runTimeoutMs;
    const interrupt = (instance: number, run: number): void => this.#interrupt(instance, run);
    const onLost = (instance: number, ranMs: number): void => this.#lose(instance, ranMs);
    this.#watchdog = new Watchdog(pool, runTimeoutMs, nowMs, { interrupt, onLost });
    this.#guarded = { pool, interrupt, exitProcess: (code) => native.exitProcess(code) };
    guardExit(this.#guarded);
  }

  look(): void {
    this.#watchdog.look();
  }

  stop(): void {
    this.#watchdog.stop();
    unguardExit(this.#guarded);
  }

  #interrupt(instance: number, run: number): void {
    const held = this.#held.get(this.#supervisor.serving(instance));
    if (held === undefined) return;
    try {
      this.#native.interruptRun(held.handle, run);
    } catch (error) {
      // Its thread has just ended.
      if (!(error instanceof NativeError)) throw error;
    }
  }

  /** A call hangs. What it may still write to stays as it is: see Supervisor.lose. */
  #lose(instance: number, ranMs: number): void {
    const ran = `a call runs for ${Math.round(ranMs)} ms`;
    this.#supervisor.lose(instance, `${ran}, and was asked to end ${INTERRUPT_MS} ms ago`);
  }
}
