/** A calling thread: attaches, calls, leaves; or dies anywhere, and another one comes in its place. */

import { ConfigError, PipeClosedError } from "../../src/errors.ts";
import { attach } from "../../src/pipe/attach.ts";
import type { AttachedPipe, SharedPipe } from "../../src/pipe/types.ts";
import { BareCaller } from "./bare-caller.ts";
import type { Books } from "./books.ts";
import { Client } from "./client.ts";
import { Loop } from "./loop.ts";
import type { CallerKind } from "./plan.ts";
import { makeSpec } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { Stopped } from "./world.ts";
import type { World } from "./world.ts";

const LIVES_MAX = 3;
const TRIES_MAX = 40;
const RETRY_MS = 2;

export class CallerThread {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;
  readonly #newLoop: () => Loop;

  constructor(world: World, stage: Stage, books: Books, newLoop: () => Loop) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
    this.#newLoop = newLoop;
  }

  async play(kind: CallerKind): Promise<void> {
    while (!this.#books.open) this.#world.awaitMail();
    for (let life = 0; life < LIVES_MAX; life++) {
      const loop = this.#newLoop();
      this.#world.mortal = true;
      try {
        await loop.run(() => (kind === "bare" ? this.#bare(loop) : this.#attached(loop)));
        break;
      } catch (error) {
        if (!(error instanceof Stopped)) throw error;
        // What the dead had promised comes to nothing before the next one begins.
        await Loop.settle();
        this.#world.revive();
        this.#books.endWatchesOf(this.#world.me);
      }
    }
    this.#world.mortal = false;
    this.#books.callersLeft--;
    this.#world.threads.mail(0);
  }

  async #attached(loop: Loop): Promise<void> {
    const pipe = await this.#attach(loop);
    if (pipe === null) return;
    const client = new Client(this.#world, loop, this.#stage, this.#books);
    await client.play({
      call: pipe,
      room: (rows) => pipe.room(rows),
      sync: (input, options) => pipe.sync(input, options),
    });
    await pipe.close();
    const { freeSlots, quarantinedSlots, ...counts } = pipe.stats();
    client.checkEnd(counts, freeSlots, quarantinedSlots);
  }

  async #bare(loop: Loop): Promise<void> {
    const bare = new BareCaller(this.#world, this.#stage, this.#books);
    for (let tries = 0; tries < TRIES_MAX && !bare.claim(); tries++) await loop.sleep(RETRY_MS);
    if (bare.isClaimed) await bare.play(loop);
  }

  /** Null if the pipe was closed first, or if all places stay taken. */
  async #attach(loop: Loop): Promise<AttachedPipe | null> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        return attach(this.#shared());
      } catch (error) {
        if (error instanceof PipeClosedError) return null;
        if (!(error instanceof ConfigError)) throw error;
      }
      await loop.sleep(RETRY_MS);
    }
    return null;
  }

  /** What `share()` gives. */
  #shared(): SharedPipe {
    const { plan, buffers, pool } = this.#stage;
    return {
      trtpipe: 2,
      pid: process.pid,
      library: "",
      pool: pool.buffer,
      shape: plan.shape,
      channels: buffers.channels.slice(0, plan.shape.channels),
      spec: makeSpec(plan),
      spinUs: plan.spinUs,
      owner: this.#books.ownerWatch,
      description: {},
    } as unknown as SharedPipe;
  }
}
