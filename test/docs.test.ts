/** What the documentation names is there, and its import table is the one that is enforced. */

import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { codeSpans, localLinks, readDocument, table, withoutTicks } from "./readme/markdown.ts";
import { MAY_IMPORT } from "./tidy/rules.ts";
import { allSources, root } from "./tidy/sources.ts";

const notes = readdirSync(join(root, "docs", "decisions"))
  .toSorted()
  .map((name) => `docs/decisions/${name}`);
const documents = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "examples/README.md",
  "docs/ARCHITECTURE.md",
  "docs/PROMISES.md",
  "docs/SERVER.md",
  "bench/RESULTS.md",
  "gpu/README.md",
  ...notes,
];

/** Folders from which a document may name a path. A name alone may be that of any file. */
const from = ["", "src", "csrc", "examples", "dist", "gpu"];
const basenames = new Set(allSources().map(({ path }) => basename(path)));

/** Files of the user's own that the README speaks of. */
const users = new Set(["worker.js", "app.js"]);

describe.each(documents)("%s", (path) => {
  const text = readDocument(path);

  it("names only files and folders that exist", () => {
    const named = codeSpans(text).filter((span) =>
      /^[\w.-]+(\/[\w.-]+)*(\.(ts|js|mjs|c|h|md|json|map)|\/)$/.test(span),
    );
    const missing = named.filter((name) => {
      const own = name.replace(/^node_modules\/trtpipe\//, "");
      if (users.has(name) || basenames.has(name)) return false;
      return !from.some((folder) => existsSync(join(root, folder, own)));
    });
    expect(missing).toEqual([]);
  });

  it("links only to files that exist", () => {
    const missing = localLinks(text).filter((target) => !existsSync(join(root, dirname(path), target)));
    expect(missing).toEqual([]);
  });

  it("is of this width", () => {
    const inTable = /^\|/;
    const long = text.split("\n").filter((line) => !inTable.test(line) && [...line].length > 130);
    expect(long).toEqual([]);
  });
});

describe("decisions", () => {
  it("are numbered without gaps and dated", () => {
    const numbers = notes.map((note) => Number(/\/(\d{4})-[a-z0-9-]+\.md$/.exec(note)?.[1]));
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    for (const note of notes) expect(readDocument(note)).toMatch(/^# \S.*\n\n\d{4}-\d\d-\d\d\n\n/);
  });
});

describe("docs/ARCHITECTURE.md", () => {
  it("has the import table that the house rules enforce", () => {
    const ofRoot = /(?<![/\w])(errors|hooks|nearest|protocol|index|internal|worker)\.ts$/;
    const short = (name: string): string => name.replace(/^types:/, "types of ").replace(ofRoot, "$1");
    const rows = table(readDocument("docs/ARCHITECTURE.md"), "Rooms, and who may import whom");
    const told = rows.map(([room, , imports]) => {
      const name = short(
        withoutTicks(room)
          .replace(/^src\//, "")
          .replace(/\/$/, ""),
      );
      const list = withoutTicks(imports);
      return [name, list === "nothing" ? [] : list.split(", ").toSorted()];
    });
    const enforced = Object.entries(MAY_IMPORT).map(([room, allowed]) => [
      short(room),
      allowed.map((one) => short(one)).toSorted(),
    ]);
    expect(told.toSorted()).toEqual(enforced.toSorted());
  });
});
