/** Throughput and latency over the load, as a picture. */

import { writeFileSync } from "node:fs";
import { extname } from "node:path";
import { createRequire } from "node:module";
import { UsageError } from "../arguments.ts";
import type { Figures } from "./figures.ts";
import { loadOf, shown } from "./report.ts";

const WIDTH = 720;
const HEIGHT = 580;
const FONT = 'font-family="sans-serif" font-size="12"';
const PANEL = { left: 70, width: 620, height: 200 } as const;
const TOPS = [70, 330] as const;
const LINE_CHARACTERS = 105;
const COLOURS = ["#1f6feb", "#d9480f", "#2b8a3e"] as const;

interface Series {
  name: string;
  values: readonly (number | null)[];
}

/** The endings that `savePlot` knows. Throws UsageError, before anything is measured. */
export function checkPlotPath(path: string): void {
  const ending = extname(path).toLowerCase();
  if (ending !== ".svg" && ending !== ".png") {
    throw new UsageError("--plot", "a path that ends with .svg or .png", JSON.stringify(path));
  }
  if (ending === ".png") rasteriser();
}

/** Writes the picture as SVG, or as PNG by the package @resvg/resvg-js. */
export function savePlot(path: string, title: string, rows: readonly Figures[]): void {
  const svg = plot(title, rows);
  if (extname(path).toLowerCase() === ".svg") writeFileSync(path, svg);
  else writeFileSync(path, new (rasteriser().Resvg)(svg).render().asPng());
}

interface Rasteriser {
  Resvg: new (svg: string) => { render(): { asPng(): Uint8Array } };
}

function rasteriser(): Rasteriser {
  try {
    return createRequire(import.meta.url)("@resvg/resvg-js") as Rasteriser;
  } catch {
    const expected = "a path that ends with .svg, or the package @resvg/resvg-js installed";
    throw new UsageError("--plot", expected, "a path that ends with .png");
  }
}

/** Two panels, one above the other: requests a second, and latencies in ms. */
export function plot(title: string, rows: readonly Figures[]): string {
  const loads = rows.map(loadOf);
  const throughput = [{ name: "requests/s", values: rows.map((row) => row.requests_per_s) }];
  const latency = [
    { name: "p50", values: rows.map((row) => row.p50_ms) },
    { name: "p90", values: rows.map((row) => row.p90_ms) },
    { name: "p99", values: rows.map((row) => row.p99_ms) },
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" ${FONT}>`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...wrap(title).map((line, i) => text(20, 16 + 15 * i, line)),
    panel(TOPS[0], "requests/s", loads, throughput),
    panel(TOPS[1], "latency, ms", loads, latency),
    "</svg>",
    "",
  ].join("\n");
}

/** At commas, into lines that fit. */
function wrap(title: string): string[] {
  const lines: string[] = [];
  for (const part of title.split(/(?<=,) /)) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} ${part}`.length <= LINE_CHARACTERS) {
      lines[lines.length - 1] = `${last} ${part}`;
    } else lines.push(part);
  }
  return lines;
}

function panel(top: number, label: string, loads: readonly string[], series: readonly Series[]): string {
  const { left, width, height } = PANEL;
  const highest = Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const limit = niceLimit(highest);
  const x = (i: number): number => left + (width * (i + 0.5)) / loads.length;
  const y = (value: number): number => top + height - (height * value) / limit;
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(limit * share);
    const line = `<path d="M${left} ${at}h${width}" stroke="#ddd"/>`;
    return line + text(left - 6, at + 4, shown(limit * share), 'text-anchor="end"');
  });
  const every = Math.ceil(loads.length / 10);
  const ticks = loads.map((load, i) =>
    i % every === 0 ? text(x(i), top + height + 18, load, 'text-anchor="middle"') : "",
  );
  const lines = series.map(({ name, values }, k) => {
    const points = values.flatMap((value, i) => (value === null ? [] : [[x(i), y(value)] as const]));
    const path = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
    const dots = points.map(([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3"/>`);
    const at = left + width - 60 * (series.length - k);
    const legend = series.length === 1 ? "" : text(at, top - 8, name, `fill="${COLOURS[k]}"`);
    const line = `<polyline points="${path}" fill="none" stroke="${COLOURS[k]}" stroke-width="2"/>`;
    return `<g fill="${COLOURS[k]}">${line}${dots.join("")}</g>${legend}`;
  });
  return [text(left, top - 8, label), ...grid, ...ticks, ...lines].join("\n");
}

/** The next of 1, 2, 2.5 or 5 times a power of ten. */
function niceLimit(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10);
}

export function text(x: number, y: number, content: string, attributes = ""): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}
