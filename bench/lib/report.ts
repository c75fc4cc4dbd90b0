/** What comes out: a JSON line for each row, or tables that a person can read, and the goals. */

import type { Goal } from "./goal.ts";
import type { Measured } from "./closed-loop.ts";
import type { Row } from "./plan.ts";
import { rate, unevenness } from "./results.ts";
import type { Results } from "./results.ts";

/** Which row a row is compared with; undefined if there is none. */
export type Baseline = (row: Row, results: Results) => Row | undefined;

export function jsonLine(row: Row, results: Results, baseline: Baseline): string {
  const base = baseline(row, results);
  const rates = results.figure(row, rate);
  const ratio = base && results.ratio(row, base, rate);
  return JSON.stringify({
    ...row,
    best: results.isBest(row),
    requests_per_s: round(rates?.median),
    p50_us: round(results.optional(row, (cell) => cell.p50_us)),
    p99_us: round(results.optional(row, (cell) => cell.p99_us)),
    ratio: round(ratio?.median),
    ratio_spread: ratio ? [round(ratio.min), round(ratio.max)] : null,
    baseline: base ? [base.contender, base.setting].filter(Boolean).join(" ") : null,
    spread: rates ? [round(rates.min), round(rates.max)] : null,
    rounds: results.rounds,
    loop_delay_p50_ms: round(results.optional(row, (cell) => cell.loop_delay_p50_ms)),
    loop_delay_p99_ms: round(results.optional(row, (cell) => cell.loop_delay_p99_ms)),
    loop_delay_max_ms: round(results.optional(row, (cell) => cell.loop_delay_max_ms)),
    rss_mb: round(results.optional(row, (cell) => cell.rss_mb)),
    mean_batch: round(results.optional(row, (cell) => cell.mean_batch)),
    cpu_us_per_request: round(results.optional(row, (cell) => cell.cpu_us_per_request)),
    cpu_cores: round(results.optional(row, (cell) => cell.cpu_cores)),
    ...serverFields(row, results),
    noisy_rounds: results.noisyRounds(row),
    error: results.error(row) ?? results.absence(row),
  });
}

/** Of servers alone. */
function serverFields(row: Row, results: Results): object {
  const start = results.optional(row, startS);
  if (start === null) return {};
  const client_cores = round(results.optional(row, (cell) => cell.client_cores ?? null));
  return { start_s: round(start), client_cores };
}

const startS = (cell: Measured): number | null => cell.start_s ?? null;

/** Four significant digits, or whole numbers. */
function round(value: number | null | undefined): number | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
}

const HEAD: readonly string[] = [
  "", "in flight", "requests/s", "[min .. max]", "x base", "p50", "p99", "p99/p50",
  "loop p99", "loop max", "batch", "CPU/request", "RSS", "start", "",
]; // prettier-ignore

/** One table for rows that belong together. */
export function table(title: string, rows: readonly Row[], results: Results, baseline: Baseline): string {
  return [title, ...align([HEAD, ...rows.map((row) => tableLine(row, results, baseline))])].join("\n");
}

function tableLine(row: Row, results: Results, baseline: Baseline): string[] {
  const name = [
    row.setting === undefined ? row.contender : `${row.contender}, ${row.setting}`,
    `${row.in_flight}`,
  ];
  const problem = results.error(row) ?? results.absence(row);
  if (problem !== undefined) return [...name, problem];
  const rates = results.figure(row, rate);
  if (!rates) return [...name, "no result"];
  const base = baseline(row, results);
  const ratio = base && results.ratio(row, base, rate);
  const rss = results.optional(row, (cell) => cell.rss_mb);
  const start = results.optional(row, startS);
  const noisy = results.noisyRounds(row);
  return [
    ...name,
    show(rates.median),
    `[${show(rates.min)} .. ${show(rates.max)}]`,
    ratio ? show(ratio.median) : "-",
    showTime(results.optional(row, (cell) => cell.p50_us)),
    showTime(results.optional(row, (cell) => cell.p99_us)),
    show(results.optional(row, unevenness)),
    showTime(microseconds(results.optional(row, (cell) => cell.loop_delay_p99_ms))),
    showTime(microseconds(results.optional(row, (cell) => cell.loop_delay_max_ms))),
    show(results.optional(row, (cell) => cell.mean_batch)),
    showTime(results.optional(row, (cell) => cell.cpu_us_per_request)),
    rss === null ? "-" : `${show(rss)} MB`,
    start === null ? "-" : `${show(start)} s`,
    noisy > 0 ? `others used the machine in ${noisy} of ${results.rounds} rounds` : "",
  ];
}

function microseconds(ms: number | null): number | null {
  return ms === null ? null : ms * 1000;
}

function showTime(us: number | null): string {
  if (us === null) return "-";
  return us < 1000 ? `${show(us)} us` : `${show(us / 1000)} ms`;
}

/** Three significant digits as a person writes them. */
export function show(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return Number(value.toPrecision(3)).toString();
}

/** The first column to the left, numbers to the right; a problem may run over the columns after it. */
function align(lines: readonly (readonly string[])[]): string[] {
  const full = lines.filter((line) => line.length > 3);
  const widths = lines[0].map((_, column) => Math.max(...full.map((line) => line[column].length)));
  widths[0] = Math.max(...lines.map((line) => line[0].length));
  return lines.map((line) =>
    line
      .map((text, column) =>
        column === 0 || line.length <= 3 ? text.padEnd(widths[column]) : text.padStart(widths[column]),
      )
      .join("  ")
      .trimEnd(),
  );
}

export function goalLines(goals: readonly Goal[]): string[] {
  const measured = goals.filter((goal) => goal.value !== undefined);
  const lines = measured.map((goal) => {
    const detail = goal.detail === undefined ? "" : ` (${goal.detail})`;
    return `  ${goal.isMet ? "met    " : "NOT MET"}  ${goal.text}: ${show(goal.value!)}${detail}`;
  });
  const others = goals.length - measured.length;
  return others === 0 ? lines : [...lines, `  ${others} more need what this run did not have`];
}
