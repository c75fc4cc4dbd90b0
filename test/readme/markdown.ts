/** The parts of a Markdown file that can be checked: code blocks, tables, links, names of files. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../tidy/sources.ts";

export interface Block {
  language: string;
  text: string;
  /** Line of the opening fence, from 1. */
  line: number;
  /** The heading above. */
  heading: string;
  /** What an HTML comment right above says, "" if there is none. */
  note: string;
}

export function readDocument(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** All fenced blocks, in their order. */
export function blocks(text: string): Block[] {
  const found: Block[] = [];
  const lines = text.split("\n");
  let heading = "";
  let note = "";
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const fence = /^```(\w*)$/.exec(line);
    if (fence) {
      const end = lines.indexOf("```", i + 1);
      found.push({
        language: fence[1],
        text: `${lines.slice(i + 1, end).join("\n")}\n`,
        line: i + 1,
        heading,
        note,
      });
      i = end;
      note = "";
    } else if (line.startsWith("#")) heading = line.replace(/^#+ /, "");
    else if (line.startsWith("<!--")) note = line.replace(/^<!-- (.*) -->$/, "$1");
    else if (line !== "") note = "";
  }
  return found;
}

/** Rows of the first table under a heading, each as its cells, without the head. */
export function table(text: string, heading: string): string[][] {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (from === -1) throw new Error(`Cannot find the heading "${heading}"`);
  const first = lines.findIndex((line, i) => i > from && line.startsWith("|"));
  const rows: string[][] = [];
  for (const line of lines.slice(first + 2)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** Text in backticks, outside of blocks. */
export function codeSpans(text: string): string[] {
  const prose = text.replaceAll(/^```[^]*?^```$/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span);
}

/** Targets of links that are no web addresses. */
export function localLinks(text: string): string[] {
  const prose = text.replaceAll(/^```[^]*?^```$/gm, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((t) => !/^[a-z]+:/.test(t));
}

export function withoutTicks(cell: string): string {
  return cell.replaceAll("`", "");
}
