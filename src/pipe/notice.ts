/**
 * What a reload changes of what `describe()` tells, where other threads of the process can read it. Two texts
 * in turns: the one that is read is not written before the number of reloads has grown, so whoever finds that
 * number unchanged has read a whole one.
 */

import type { Pool } from "../memory/pool.ts";
import type { PipeDescription } from "./types.ts";

/** What a reload may change. */
type Changing = Pick<
  PipeDescription,
  | "backend"
  | "backendReason"
  | "engine"
  | "engineLibrary"
  | "model"
  | "intraOpThreads"
  | "session"
  | "devices"
  | "reloads"
>;

/** Longer texts are cut: four of them fit whatever they consist of. */
const FIELD_CHARACTERS = 4096;
const TEXT_BYTES = 64 * 1024;
/** Each text has its length in front of it. */
const PLACE_BYTES = 4 + TEXT_BYTES;

export class Notice {
  readonly buffer: SharedArrayBuffer;
  readonly #pool: Pool;

  constructor(pool: Pool, buffer: SharedArrayBuffer = new SharedArrayBuffer(2 * PLACE_BYTES)) {
    this.#pool = pool;
    this.buffer = buffer;
  }

  /** Owner: what is told from here on; its `reloads` is the number of reloads from here on. */
  write(description: PipeDescription): void {
    const { backend, intraOpThreads, session, devices, reloads } = description;
    const cut = (text: string): string => text.slice(0, FIELD_CHARACTERS);
    const changing: Changing = {
      backend,
      backendReason: cut(description.backendReason),
      engine: cut(description.engine),
      engineLibrary: cut(description.engineLibrary),
      model: cut(description.model),
      intraOpThreads,
      session,
      devices,
      reloads,
    };
    const text = new TextEncoder().encode(JSON.stringify(changing));
    const { length, bytes } = this.#place(reloads);
    length[0] = text.length;
    bytes.set(text);
    this.#pool.reloads = reloads;
  }

  /** Any thread. */
  read(): Changing {
    for (;;) {
      const { reloads } = this.#pool;
      const { length, bytes } = this.#place(reloads);
      const text = bytes.slice(0, length[0]);
      if (this.#pool.reloads === reloads) return JSON.parse(new TextDecoder().decode(text)) as Changing;
    }
  }

  #place(reloads: number): { length: Uint32Array; bytes: Uint8Array } {
    const at = (reloads & 1) * PLACE_BYTES;
    return {
      length: new Uint32Array(this.buffer, at, 1),
      bytes: new Uint8Array(this.buffer, at + 4, TEXT_BYTES),
    };
  }
}
