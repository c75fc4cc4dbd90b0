/** Prometheus' text format, version 0.0.4. */

import type { Histogram } from "./histogram.ts";

type Labels = Readonly<Record<string, string>>;

export class Exposition {
  #text = "";

  get text(): string {
    return this.#text;
  }

  /** Begins a metric; its samples follow. */
  family(name: string, type: "counter" | "gauge" | "histogram", help: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escape(text)}"`);
    this.#text += `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  }

  histogram(name: string, labels: Labels, { bounds, counts, sum }: Histogram): void {
    let below = 0;
    for (const [i, bound] of bounds.entries()) {
      below += counts[i];
      this.sample(`${name}_bucket`, { ...labels, le: String(bound) }, below);
    }
    const all = below + counts[bounds.length];
    this.sample(`${name}_bucket`, { ...labels, le: "+Inf" }, all);
    this.sample(`${name}_sum`, labels, sum);
    this.sample(`${name}_count`, labels, all);
  }
}

function escape(text: string): string {
  return text
    .replaceAll("\\", String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll("\n", String.raw`\n`);
}
