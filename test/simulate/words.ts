/** Which control word an access means: its key for waiting, and its name for people. */

import { InstanceWord } from "../../src/memory/layout.ts";
import { generationOf, outcomeOf, ownerOf, phaseOf } from "../../src/memory/slot.ts";
import type { Stage } from "./stage.ts";

export const POOL = 0;
const PHASES = ["Free", "Queued", "Taken", "Done", "Lost"];

export class WordNames {
  readonly #stage: Stage;
  readonly #buffers: Map<ArrayBufferLike, number>;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#buffers = new Map<ArrayBufferLike, number>([[stage.pool.buffer, POOL]]);
    for (const channel of stage.channels) this.#buffers.set(channel.control.buffer, channel.index + 1);
  }

  /** 0 is the pool, k + 1 channel k. */
  bufferOf(words: Int32Array<ArrayBufferLike>): number {
    const buffer = this.#buffers.get(words.buffer);
    if (buffer === undefined) throw new Error("an access to memory that is not the pipe's");
    return buffer;
  }

  static key(buffer: number, index: number): number {
    return (buffer + 1) * 65_536 + index;
  }

  name(buffer: number, index: number): string {
    return buffer === POOL ? `pool.${this.#poolWord(index)}` : `channel${buffer - 1}.${this.#word(index)}`;
  }

  /** A word's value as people read it. */
  show(buffer: number, index: number, value: number): string {
    const { layout, shape } = this.#stage.channels[0];
    if (buffer === POOL || index < layout.word || index >= layout.word + shape.slots) return String(value);
    const phase = PHASES[phaseOf(value)] ?? `phase ${phaseOf(value)}`;
    const more = phase === "Taken" ? `(${ownerOf(value)})` : phase === "Done" ? `(${outcomeOf(value)})` : "";
    return `${phase}${more}#${generationOf(value)}`;
  }

  #poolWord(index: number): string {
    const { layout, shape } = this.#stage.pool;
    if (index === layout.lead) return "lead";
    if (index === layout.gate) return "gate";
    if (index === layout.rebuild) return "rebuild";
    if (index >= layout.pending && index < layout.pending + layout.pendingWords) return "pending";
    const line = index - layout.instances;
    const instance = Math.floor(line / InstanceWord.words);
    if (line < 0 || instance >= shape.instances) return `word[${index}]`;
    const fields = Object.entries(InstanceWord);
    return `${fields.find(([, at]) => at === line % InstanceWord.words)?.[0]}[${instance}]`;
  }

  #word(index: number): string {
    const { layout, shape } = this.#stage.channels[0];
    for (const name of ["owner", "watch", "tail", "head", "bell", "waiting"] as const)
      if (index === layout[name]) return name;
    if (index >= layout.done && index < layout.done + layout.doneWords) return `done[${index - layout.done}]`;
    if (index >= layout.word && index < layout.word + shape.slots) return `slot[${index - layout.word}]`;
    return `word[${index}]`;
  }
}
