/** Grouped bars as SVG: panels side by side on one scale, each bar with its number above it. */

import { text } from "../../src/cli/bench/plot.ts";

const FONT = 'font-family="DejaVu Sans, sans-serif" font-size="12"';
const HEIGHT = 446;
const TOP = 112;
const PLOT_HEIGHT = 250;
const LEFT = 66;
const PANEL_GAP = 28;
const GROUP_GAP = 22;
const COLOURS = ["#1f6feb", "#8c959f", "#d9480f", "#2b8a3e", "#7048e8"] as const;

export interface Panel {
  /** Under its groups. */
  label: string;
  groups: readonly string[];
  /** For each series, a number for each group; null where nothing was measured. */
  values: readonly (readonly (number | null)[])[];
}

export interface Chart {
  title: string;
  /** What was measured and how, in short lines under the title. */
  notes: readonly string[];
  unit: string;
  series: readonly string[];
  panels: readonly Panel[];
  barWidth: number;
  /** The number above a bar. */
  shown: (value: number) => string;
}

export function bars(chart: Chart): string {
  const highest = Math.max(...chart.panels.flatMap(({ values }) => values.flat().map((value) => value ?? 0)));
  const limit = limitFor(highest);
  const drawn: string[] = [];
  let x = LEFT;
  for (const panel of chart.panels) {
    const width = panelWidth(chart, panel);
    drawn.push(...grid(chart, x, width, limit, x === LEFT), ...drawPanel(chart, panel, x, limit));
    x += width + PANEL_GAP;
  }
  const width = Math.max(x, 720);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" ${FONT}>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    text(20, 22, chart.title, 'font-size="15" font-weight="bold"'),
    ...chart.notes.map((note, i) => text(20, 42 + 16 * i, note, 'fill="#555"')),
    ...drawn,
    ...legend(chart.series),
    "</svg>",
    "",
  ].join("\n");
}

/** Four steps of a round number that reach above `highest`. */
function limitFor(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(highest / 4));
  return 4 * power * ([1, 1.5, 2, 2.5, 3, 4, 5, 7.5].find((step) => 4 * step * power >= highest) ?? 10);
}

function panelWidth({ series, barWidth }: Chart, { groups }: Panel): number {
  return groups.length * (series.length * barWidth + GROUP_GAP);
}

function grid({ unit, shown }: Chart, x: number, width: number, limit: number, first: boolean): string[] {
  const lines = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = TOP + PLOT_HEIGHT * (1 - share);
    const line = `<path d="M${x} ${y}h${width}" stroke="${share === 0 ? "#555" : "#ddd"}"/>`;
    return first ? line + text(x - 6, y + 4, shown(limit * share), 'text-anchor="end"') : line;
  });
  return first ? [...lines, text(x - 46, TOP - 14, unit)] : lines;
}

function drawPanel(chart: Chart, panel: Panel, left: number, limit: number): string[] {
  const { series, barWidth, shown } = chart;
  const groupWidth = series.length * barWidth + GROUP_GAP;
  const drawn = panel.groups.flatMap((group, g) => {
    const start = left + g * groupWidth + GROUP_GAP / 2;
    const columns = series.map((_, k) => {
      const value = panel.values[k][g];
      if (value === null) return "";
      const height = (PLOT_HEIGHT * value) / limit;
      const x = start + k * barWidth;
      const y = TOP + PLOT_HEIGHT - height;
      const size = `width="${barWidth - 2}" height="${height.toFixed(1)}"`;
      const bar = `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${size} fill="${COLOURS[k]}"/>`;
      const middle = x + (barWidth - 2) / 2;
      return bar + text(middle, y - 4, shown(value), 'text-anchor="middle" font-size="10"');
    });
    const middle = start + (series.length * barWidth) / 2;
    return [...columns, text(middle, TOP + PLOT_HEIGHT + 17, group, 'text-anchor="middle"')];
  });
  const centre = left + panelWidth(chart, panel) / 2;
  const label = text(centre, TOP + PLOT_HEIGHT + 36, panel.label, 'text-anchor="middle" fill="#555"');
  return [...drawn, label];
}

function legend(series: readonly string[]): string[] {
  let x = LEFT;
  return series.flatMap((name, k) => {
    const square = `<rect x="${x}" y="${HEIGHT - 31}" width="12" height="12" fill="${COLOURS[k]}"/>`;
    const label = text(x + 17, HEIGHT - 20, name);
    x += 40 + 7.2 * name.length;
    return [square, label];
  });
}
