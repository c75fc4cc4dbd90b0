/** What a person reads: a table of figures. */

import type { Figures } from "./figures.ts";

const HEAD = ["load", "requests/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "batch", "failed"];

/** One line for each measurement, columns aligned. */
export function table(rows: readonly Figures[]): string {
  const cells = rows.map((row) => [
    loadOf(row),
    shown(row.requests_per_s),
    shown(row.p50_ms),
    shown(row.p90_ms),
    shown(row.p99_ms),
    shown(row.max_ms),
    shown(row.mean_batch),
    failuresOf(row),
  ]);
  return align([HEAD, ...cells]);
}

/** Text columns: the first to the left, all others to the right. */
export function align(lines: readonly (readonly string[])[]): string {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function loadOf({ clients, rate }: Pick<Figures, "clients" | "rate">): string {
  if (clients === undefined) return `${rate}/s`;
  return clients === 1 ? "1 client" : `${clients} clients`;
}

function failuresOf({ failures }: Figures): string {
  const kinds = Object.entries(failures).map(([name, count]) => `${count} ${name}`);
  return kinds.length === 0 ? "0" : kinds.join(", ");
}

/** Three digits that count, no exponent. */
export function shown(value: number | null): string {
  if (value === null) return "-";
  if (value === 0) return "0";
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
