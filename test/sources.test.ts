/** What a path says there is to serve, and what is wrong with it. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findSources } from "../src/server/sources.ts";
import type { Source } from "../src/server/sources.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-sources-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(path: string, text = ""): string {
  const whole = join(folder, path);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, text);
  return whole;
}

const find = (path = folder, versions: "latest" | "all" = "all", defaults = {}): Source[] =>
  findSources(path, defaults, versions);
/** Each model as NAME/VERSION, those that cannot be loaded with a "!". */
const names = (sources: readonly Source[]): string[] =>
  sources.map(({ name, version, error }) => `${error === undefined ? "" : "!"}${name}/${version}`);

describe("a folder", () => {
  it("has models among whatever else lies in it", () => {
    for (const path of ["a/1/model.onnx", "a/3/model.plan", "b.onnx"]) put(path);
    // Versions that are none, files of tools and file systems, and what has another name.
    for (const path of [
      "a/0/model.onnx",
      "a/02/model.onnx",
      "a/v4/model.onnx",
      "a/5/weights.bin",
      "a/README",
    ])
      put(path);
    for (const path of [".git/1/model.onnx", ".hidden.onnx", "._b.onnx", "lost+found/1/model.onnx"])
      put(path);
    for (const path of ["README.md", "B.ONNX", "c.onnx.bak", "notes/text"]) put(path);
    mkdirSync(join(folder, "empty"));
    expect(names(find())).toEqual(["a/1", "a/3", "b/1"]);
    expect(names(find(folder, "latest"))).toEqual(["a/3", "b/1"]);
  });

  it("may have links, and such as lead nowhere keep nothing else from being found", () => {
    put("a/1/model.onnx");
    symlinkSync(join(folder, "a"), join(folder, "linked"));
    symlinkSync(join(folder, "a/1/model.onnx"), join(folder, "b.onnx"));
    symlinkSync("/nowhere", join(folder, "gone.onnx"));
    symlinkSync("/nowhere", join(folder, "gone"));
    symlinkSync("loop", join(folder, "loop"));
    mkdirSync(join(folder, "d", "1"), { recursive: true });
    symlinkSync("/nowhere", join(folder, "d", "1", "model.onnx"));
    symlinkSync("/nowhere", join(folder, "a", "2"));
    // The model's own loading says what becomes of it.
    expect(names(find())).toEqual(["a/1", "b/1", "d/1", "gone/1", "linked/1"]);
  });

  it("has good models beside wrong ones, which say what is wrong", () => {
    put("a/1/model.onnx");
    put("b/1/model.onnx");
    put("b/2/model.onnx");
    put("b/config.toml", "max = 2\nbatching_timout = 5\n");
    put("c.toml", '[c]\nmodel = "a/1/model.onnx"\nmax = = 4\n');
    put("a.toml", '[a]\nmodel = "a/1/model.onnx"\n');
    const found = find();
    expect(names(found)).toEqual(["a/1", "!a/1", "!b/1", "!b/2", "!c/1"]);
    const [, twice, wrongKey, , syntax] = found.map(({ error }) => error?.message);
    expect(twice).toContain("a/1 comes twice");
    expect(wrongKey).toMatch(/batching_timout: .*did you mean "batching_timeout".*for model "b"/);
    expect(syntax).toMatch(/Cannot use c\.toml: expected a file in TOML.*\(line 3, column 7: /);
  });

  it("without a model is refused", () => {
    mkdirSync(join(folder, "empty"));
    expect(() => find()).toThrow("a folder with NAME/1/model.onnx, *.onnx or *.toml in it");
  });
});

describe("a file in TOML", () => {
  const wrong = (text: string, defaults = {}): string | undefined =>
    find(put("models.toml", text), "latest", defaults).find(({ error }) => error)?.error?.message;

  it.each([
    ['[a]\nmodel = "a.onnx"\n\n[b]\nmodel = "b.onnx"\nmax = "x"\n', /^Cannot use max: .*, for model "b"$/],
    ['[a]\nmax = 4\n[b]\nmodel = "b.onnx"\n', /^Cannot use model: .*got undefined, for model "a"$/],
    ['instnce_num = 2\n[a]\nmodel = "a.onnx"\n', /instnce_num: .*"instance_num"/],
    ['[a]\nmodel = "a.onnx"\nmax = true\n', /^Cannot use max: .*got true/],
    ['[a]\nmodel = "a.onnx"\nversion = 0\n', /^Cannot use a\.version: expected a whole number from 1, got 0/],
    ['[a]\nmodel = "a.onnx"\nlog = "x"\n', /^Cannot use a\.log: /],
    ['[""]\nmodel = "a.onnx"\n', /a name for each table/],
    ['[a]\nmodel = "a.onnx"\n[a]\nmodel = "b.onnx"\n', /line 3, column \d+: /],
    ["[a]\nmodel = a.onnx\n", /line 2, column 9: /],
  ])("names the model, the key or the line: %j", (text, expected) => {
    expect(wrong(text)).toMatch(expected);
  });

  it("is UTF-8, with or without a byte order mark", () => {
    const text = '[a]\nmodel = "é.onnx"\n';
    expect(wrong(`\uFEFF${text}`)).toBe(undefined);
    const path = put("latin1.toml");
    writeFileSync(path, Buffer.from(text, "latin1"));
    expect(find(path)[0].error?.message).toContain("expected a file in TOML");
  });

  it("does not name a model for a key of the command line", () => {
    expect(wrong('[a]\nmodel = "a.onnx"\n', { max: "0" })).toMatch(/got "0"$/);
  });

  it.each(["", 'model = "a.onnx"\n', '[[a]]\nmodel = "a.onnx"\n'])("needs a table: %j", (text) => {
    expect(() => find(put("models.toml", text))).toThrow("a table for each model, as [NAME]");
  });
});
