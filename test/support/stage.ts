/**
 * One instance's lead on this thread, with everybody else played by the test. Time stands still unless it is
 * moved.
 */

import type { Channel } from "../../src/memory/channel.ts";
import type { MemoryShape } from "../../src/memory/layout.ts";
import { State } from "../../src/memory/pool.ts";
import type { Pool } from "../../src/memory/pool.ts";
import { Spin } from "../../src/memory/spin.ts";
import { Lead } from "../../src/scheduler/lead.ts";
import type { Batch } from "../../src/scheduler/queue.ts";
import { makeBatch, makeMemory, publish, rowsOf } from "./memory.ts";

export interface StageOptions {
  shape?: Partial<MemoryShape>;
  batchingTimeoutMs?: number;
  spinUs?: number;
}

export class Stage {
  readonly pool: Pool;
  readonly channels: Channel[];
  readonly batch: Batch;
  nowMs = 1000;
  readonly #options: StageOptions;

  constructor(options: StageOptions = {}) {
    const { pool, channels } = makeMemory(options.shape);
    this.pool = pool;
    this.channels = channels;
    this.#options = options;
    this.batch = makeBatch(pool.shape.maxRows);
    for (let i = 0; i < pool.shape.instances; i++) pool.setState(i, State.idle);
  }

  lead(me = 0): Lead {
    const { batchingTimeoutMs = 0, spinUs = 0 } = this.#options;
    const limits = { maxRows: this.pool.shape.maxRows, batchingTimeoutMs };
    return new Lead(this.pool, this.channels, me, limits, new Spin(spinUs), () => this.nowMs);
  }

  /** A caller publishes rows now, and rings. */
  request(channel: number, slots: readonly number[], dims: readonly number[] = []): void {
    for (const slot of slots) publish(this.channels[channel], slot, this.nowMs, dims);
    this.pool.ring(channel);
  }

  /** The rows of the batch that was gathered last. */
  rows(): string[] {
    return rowsOf(this.batch);
  }
}
