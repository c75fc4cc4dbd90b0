/** Plain text for terminals of 80 columns. */

import type { BatchReason, PipeStats } from "trtpipe";

const COLUMNS = 80;
const BAR = 20;

/** Breaks a text at its blanks into lines that begin with `first`, then with as many blanks. */
export function wrap(text: string, first = ""): string {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = " ".repeat(first.length);
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line].join("\n");
}

/** `  name       text`, wrapped below the text. */
export function field(name: string, text: string): string {
  return wrap(text, `  ${name.padEnd(11)}`);
}

/** Numbers as people read them: three digits that count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 10 ? 1 : 2);
}

type Sizes = PipeStats["sizes"];

/** One line for each batch size that was sent: how often, and for which reasons. */
export function histogram(sizes: Sizes): string[] {
  const reasons = Object.keys(sizes) as BatchReason[];
  const counts = sizes.full.map((_, rows) => reasons.reduce((sum, reason) => sum + sizes[reason][rows], 0));
  const most = Math.max(...counts);
  return counts.flatMap((count, rows) => {
    if (count === 0) return [];
    const bar = "#".repeat(Math.ceil((count / most) * BAR));
    const why = reasons.filter((reason) => sizes[reason][rows] > 0);
    const parts = why.map((reason) => `${sizes[reason][rows]} ${reason}`).join(", ");
    return [`  ${String(rows).padStart(4)}  ${String(count).padStart(7)}  ${bar.padEnd(BAR)}  ${parts}`];
  });
}
