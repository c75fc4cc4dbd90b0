/** A bar for whatever takes longer than a second, or lines where nobody looks at a terminal. */

import type { Terminal } from "./terminal.ts";

const SHOWN_AFTER_MS = 1000;
/** Where each state is a line of its own, a new one comes no sooner than this. */
const LINE_EVERY_MS = 5000;
const BAR = 24;

export class Progress {
  readonly #terminal: Terminal;
  readonly #label: string;
  readonly #startMs = performance.now();
  #lastMs = 0;
  #stage = "";

  constructor(terminal: Terminal, label: string) {
    this.#terminal = terminal;
    this.#label = label;
  }

  /** `fraction` is 0 to 1, or undefined where the end is not known. */
  update(fraction: number | undefined, stage = ""): void {
    const nowMs = performance.now();
    if (nowMs - this.#startMs < SHOWN_AFTER_MS) return;
    const { columns } = this.#terminal;
    const share = fraction === undefined ? "" : ` ${String(Math.floor(fraction * 100)).padStart(3)} %`;
    const text = `${this.#label}${share}, ${Math.floor((nowMs - this.#startMs) / 1000)} s ${stage}`.trimEnd();
    if (columns !== undefined)
      this.#terminal.draw(`\r\u001B[K${`${bar(fraction)}${text}`.slice(0, columns - 1)}`);
    else if (this.#lastMs === 0 || (stage !== this.#stage && nowMs - this.#lastMs >= LINE_EVERY_MS)) {
      this.#terminal.note(text);
    } else return;
    this.#stage = stage;
    this.#lastMs = nowMs;
  }

  /** Takes the bar away. Lines stay. */
  end(): void {
    if (this.#terminal.columns !== undefined && this.#lastMs !== 0) this.#terminal.draw("\r\u001B[K");
  }
}

function bar(fraction: number | undefined): string {
  if (fraction === undefined) return "";
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * BAR);
  return `[${"#".repeat(full)}${"-".repeat(BAR - full)}] `;
}
