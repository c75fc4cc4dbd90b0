/** Lists of layers that compute in another precision than the others. */

import { ConfigError } from "../errors.ts";
import type { Node } from "./graph.ts";

interface Pattern {
  field: string;
  text: string;
  matches: RegExp;
  half: boolean;
  used: boolean;
}

export class LayerNames {
  readonly #patterns: readonly Pattern[];
  readonly #precision: string;

  /** `precision` is the 16-bit one, as the configuration calls it. */
  constructor(precision: string, half: readonly string[], float32: readonly string[]) {
    this.#precision = precision;
    const pattern = (text: string, isHalf: boolean): Pattern => ({
      field: isHalf ? `precision::${precision}` : "precision::fp32",
      text,
      matches: new RegExp(`^${text.split("*").map(escaped).join(".*")}$`, "s"),
      half: isHalf,
      used: false,
    });
    this.#patterns = [
      ...float32.map((text) => pattern(text, false)),
      ...half.map((text) => pattern(text, true)),
    ];
  }

  /** Whether the node is named for 16 bits (true) or for float32 (false, goes first); null: it is not. */
  find(node: Node): boolean | null {
    let found: boolean | null = null;
    for (const pattern of this.#patterns) {
      const names = [node.name, ...node.outputs].filter((name) => name !== "");
      if (!names.some((name) => pattern.matches.test(name))) continue;
      pattern.used = true;
      found ??= pattern.half;
    }
    return found;
  }

  /** Throws ConfigError for a layer that is named and cannot compute in 16 bits, unless `*` found it. */
  refuse(node: Node): void {
    const names = new Set([node.name, ...node.outputs]);
    const exact = this.#patterns.find(({ text, half }) => half && names.has(text));
    if (exact === undefined) return;
    const expected = `layers that can compute in ${this.#precision}`;
    const hint = `its operator is ${node.op}, on values that are not float32, not known or out of range`;
    throw new ConfigError(exact.field, exact.text, expected, { hint });
  }

  /** Throws ConfigError for a pattern that no node had. */
  checkUsed(): void {
    const unused = this.#patterns.find(({ used }) => !used);
    if (unused === undefined) return;
    throw new ConfigError(unused.field, unused.text, "the name of a node of the model, or of its output");
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.|?+()[\]{}]/g, "\\$&");
}
