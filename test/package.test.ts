/** The built package, in both of its formats, as its users load it. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as esm from "trtpipe";
import { bindingOfThisRuntime, thisRuntime } from "./native/this-runtime.ts";
import { root } from "./tidy/sources.ts";

const cjs = createRequire(import.meta.url)("../dist/index.cjs") as typeof esm;

describe.each([
  ["ESM", esm],
  ["CommonJS", cjs],
])("%s", (_, { pipe, ConfigError }) => {
  it("answers through an instance thread, with this runtime's binding", async () => {
    const models = await pipe({ backend: "Identity", max: 2 });
    const input = await models({ data: Float32Array.of(1.5, -2) });
    expect(input.result).toMatchObject({ shape: [2], data: Float32Array.of(1.5, -2) });
    expect(models.describe().binding).toBe(bindingOfThisRuntime);
    expect(models.describe().runtime.split(" ")[0]).toBe(thisRuntime);
    await models.close();
  });

  it("answers through a child process, with the host program that lies beside the library", async () => {
    const models = await pipe({ backend: "Process[Identity]", max: 2 });
    const input = await models({ data: Float32Array.of(1.5, -2) });
    expect(input.result).toMatchObject({ shape: [2], data: Float32Array.of(1.5, -2) });
    await models.close();
  });

  it("exports the errors that it throws", async () => {
    await expect(pipe({ backend: "Identity", max: 0 })).rejects.toBeInstanceOf(ConfigError);
  });
});

it("exports the same names in both formats", () => {
  expect(Object.keys(cjs).toSorted()).toEqual(Object.keys(esm).toSorted());
});

it.each(["index.js", "worker.js", "cli.js"])(
  "has all it needs in %s, but for the runtime's own modules",
  (name) => {
    const text = readFileSync(join(root, "dist", name), "utf8");
    const imported = [...text.matchAll(/^import .*? from "([^"]+)";$/gm)].map(([, from]) => from);
    expect(imported.length).toBeGreaterThan(0);
    expect(imported.filter((from) => !from.startsWith("node:"))).toEqual([]);
  },
);

it("packs the code, its types, the C library, host program and header, and no sources or tests", () => {
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith(".js") ? ["node", [npm]] : ["npm", []];
  const args = [...first, "pack", "--dry-run", "--json", "--ignore-scripts"];
  const printed = execFileSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files }] = JSON.parse(printed) as [{ files: { path: string; mode: number }[] }];
  const paths = files.map(({ path }) => path);
  const prebuilds = `prebuilds/${process.platform}-${process.arch}`;
  expect(paths).toContain(`${prebuilds}/libtrtpipe.so`);
  const host = files.find(({ path }) => path === `${prebuilds}/trtpipe-host`);
  expect((host?.mode ?? 0) & 0o111).toBe(0o111);
  for (const name of [
    "index.js",
    "index.cjs",
    "index.d.ts",
    "index.d.cts",
    "worker.js",
    "worker.cjs",
    "cli.js",
  ]) {
    expect(paths).toContain(`dist/${name}`);
  }
  expect(paths).toContain("csrc/include/trtpipe.h");
  expect(
    paths.filter((path) => /^(src|test|bench|examples|scripts|build|node_modules)\//.test(path)),
  ).toEqual([]);
});
