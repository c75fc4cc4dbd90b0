/** What all subcommands of `trtpipe` share, in the runtime that runs the tests. */

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { runChild, type Ended } from "../support/child.ts";
import { root } from "../tidy/sources.ts";

const magika = join(root, "examples", "data", "magika.onnx");

const trtpipe = (...args: string[]): Promise<Ended> => runChild("dist/cli.js", { args });

describe("trtpipe", () => {
  it("lists its commands with --help", async () => {
    const { code, lines, stderr } = await trtpipe("--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines.join("\n")).toMatch(/^ {2}inspect +\S/m);
  });

  it("says its version", async () => {
    expect(await trtpipe("--version")).toMatchObject({ code: 0, lines: [manifest.version], stderr: "" });
  });

  it("has examples in the help of a command, wherever --help stands", async () => {
    const { code, lines } = await trtpipe("inspect", "model.onnx", "--help");
    expect(code).toBe(0);
    expect(lines.join("\n")).toMatch(/OPTIONS\n[^]*--json[^]*EXAMPLES\n[^]*trtpipe inspect model\.onnx/);
    expect(lines.join("\n")).not.toContain("\u001B");
  });

  it.each([
    [[], "trtpipe: Cannot use trtpipe: expected a command (see trtpipe --help), got none"],
    [["inspct"], 'trtpipe inspct: Cannot use the command: expected inspect, got "inspct"'],
    [["inspect"], "trtpipe inspect: Cannot use MODEL: expected path of an ONNX model, got none"],
    [["inspect", "a", "--jsn"], "trtpipe inspect: Cannot use --jsn: expected --json, got an unknown option"],
    [["inspect", "a", "--json=1"], 'trtpipe inspect: Cannot use --json: expected no value, got "1"'],
    [["inspect", "a", "b"], 'trtpipe inspect: Cannot use the arguments: expected only MODEL, got "b"'],
  ])("refuses %j with status 2 and one line", async (args, line) => {
    const { code, stderr } = await trtpipe(...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: `${line}\n` });
  });

  it("ends with status 1 and one line if what was asked for fails", async () => {
    const { code, lines, stderr } = await trtpipe("inspect", "/no/such.onnx");
    expect({ code, lines }).toEqual({ code: 1, lines: [] });
    expect(stderr).toBe('trtpipe inspect: Cannot open model "/no/such.onnx": no such file (ENOENT)\n');
  });

  it("prints errors as JSON too with --json", async () => {
    const { code, lines } = await trtpipe("inspect", "/no/such.onnx", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(lines.join("\n"))).toMatchObject({
      error: { name: "ModelLoadError", code: "TP_MODEL", path: "/no/such.onnx", stage: "open" },
    });
  });

  it("prints one JSON value with --json", async () => {
    const { code, lines } = await trtpipe("inspect", "--json", magika);
    expect(code).toBe(0);
    expect(JSON.parse(lines.join("\n"))).toMatchObject({ path: magika });
  });
});
