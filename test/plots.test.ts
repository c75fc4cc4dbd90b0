/** docs/plots shows what bench/results says, and nobody chooses among records. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bars } from "../bench/plots/bars.ts";
import { charts } from "../bench/plots/charts.ts";
import { one, readDay } from "../bench/plots/records.ts";
import { root } from "./tidy/sources.ts";

const day = readDay(join(root, "bench/results/gpu-2026-11-26"));

describe("docs/plots", () => {
  it.each(Object.entries(charts(day)))("%s is drawn from the kept results", (name, chart) => {
    expect(readFileSync(join(root, "docs/plots", `${name}.svg`), "utf8")).toBe(bars(chart));
    const png = readFileSync(join(root, "docs/plots", `${name}.png`));
    expect(png.subarray(1, 4).toString("latin1")).toBe("PNG");
  });

  it("shows only answers of which none was wrong and none failed", () => {
    expect(day.pipe.length).toBeGreaterThan(30);
    expect(day.pipe.filter(({ wrong, failed }) => wrong + failed > 0)).toEqual([]);
  });
});

describe("one", () => {
  const records = [{ max: 4 }, { max: 4, cuda_graph: 1 }, { max: 8 }, { max: 8 }];

  it("tells a record with an option from one without", () => {
    expect(one(records, { max: 4 })).toBe(records[0]);
    expect(one(records, { max: 4, cuda_graph: 1 })).toBe(records[1]);
  });

  it("refuses to choose", () => {
    expect(() => one(records, { max: 8 })).toThrow("expected one record, got 2");
    expect(() => one(records, { max: 16 })).toThrow("expected one record, got 0");
  });
});

describe("bars", () => {
  const chart = {
    title: "a <b> & c",
    notes: [],
    unit: "rows/s",
    series: ["one", "two"],
    panels: [{ label: "", groups: ["x", "y"], values: [[10, null], [5, 40]] }],
    barWidth: 40,
    shown: String,
  }; // prettier-ignore

  it("draws each number in proportion, and none that is missing", () => {
    const svg = bars(chart);
    const heights = [...svg.matchAll(/width="38" height="([\d.]+)"/g)].map(([, height]) => Number(height));
    expect(heights).toEqual([62.5, 31.3, 250]);
    expect(svg).toContain("a &lt;b&gt; &amp; c");
  });
});
