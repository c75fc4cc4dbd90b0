/** `npm run -s plots`: draws bench/results/gpu-2026-11-26 into docs/plots, as SVG and as PNG. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Resvg } from "@resvg/resvg-js";
import { bars } from "./bars.ts";
import { charts } from "./charts.ts";
import { readDay } from "./records.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const to = join(root, "docs", "plots");
mkdirSync(to, { recursive: true });
for (const [name, chart] of Object.entries(charts(readDay(join(root, "bench/results/gpu-2026-11-26"))))) {
  const svg = bars(chart);
  writeFileSync(join(to, `${name}.svg`), svg);
  writeFileSync(join(to, `${name}.png`), new Resvg(svg).render().asPng());
  console.log(`docs/plots/${name}.svg, .png`);
}
