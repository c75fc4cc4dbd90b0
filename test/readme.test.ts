/** What the README shows is true: its code runs, its commands exist, its tables name what there is. */

import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import * as trtpipe from "trtpipe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readOptions } from "../examples/reference/options.ts";
import { REASONS } from "../src/scheduler/decide.ts";
import { blocks, readDocument, table, withoutTicks } from "./readme/markdown.ts";
import { makeFolder, programs, typeErrors, write } from "./readme/programs.ts";
import { fakeCuda, libraries } from "./support/tensorrt.ts";
import { root } from "./tidy/sources.ts";

const readme = readDocument("README.md");
const all = blocks(readme);
const shown = programs(all);
const TIMEOUT_MS = 120_000;

let folder = "";

beforeAll(async () => {
  folder = await makeFolder();
}, TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  status: number | null;
  out: string;
  error: string;
}

function runProgram(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: TIMEOUT_MS,
    });
    let out = "";
    let error = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (out += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (error += chunk));
    child.on("close", (status) => resolve({ status, out, error }));
  });
}

/** Runs a JavaScript file in the runtime that runs this test. */
function runFile(path: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const args = process.versions.deno === undefined ? [path] : ["run", "-A", path];
  return runProgram(process.execPath, args, env);
}

/** What a block must print, by the heading that it stands under. */
const printed: Readonly<Record<string, readonly RegExp[]>> = {
  Use: [/^float32 \[1, 1000\] |^10 ONNX Runtime [\d.]+ [\d.]+$/m],
  Precision: [/^close enough$/m],
  "Device memory": [
    /^float32 \[1, 4\] -1, -2, -3, -4 float32 \[1, 4\] 1, 2, 3, 4\n[^]*tensors: 0,\s+bytes: 0/m,
  ],
  "Inputs and results": [
    /^float32 \[1, 3\] 1, 2, 3\n[^]*^2$|\b11, +22, +33, +44\b[^]*\b10, +40, +90, +160\b/m,
  ],
  Images: [/\bshape: \[ ?-1, 224, 224, 3 ?\][^]*\nfloat32 \[1, 1000\] /],
  "Giving up, urgency, and a full queue": [/^answered \[ ?1, 3 ?\]\nall answered$/m],
  "Calling from Workers": [/\b1, +2, +3\b/],
  "Another model in place of the one that is served": [/^retrained\.onnx 1\ntrue retrained\.onnx$/m],
  Errors: [/did you mean OnnxTensor\?[^]*a multiple of 3 elements[^]*^true$/m],
  "Calls that hang": [/^0$/m],
  "Child processes": [/^Process\[OnnxTensor\] 1$/m],
  "What a pipe tells": [/^OnnxTensor .*\bONNX Runtime\b/m],
};

describe("code blocks", () => {
  it("are found", () => {
    expect(shown.length).toBeGreaterThanOrEqual(6);
    expect(Object.keys(printed)).toEqual([...new Set(shown.map(({ block }) => block.heading))]);
  });

  it("have right types", () => expect(typeErrors(shown, folder)).toEqual([]), TIMEOUT_MS);

  const plain = shown.filter(({ block }) => !block.note.startsWith("needs TensorRT"));
  it.each(plain)(
    "runs what is shown under $block.heading, line $block.line",
    async (program) => {
      const { status, out, error } = await runFile(write(program, folder));
      expect({ status, error }).toEqual({ status: 0, error: "" });
      for (const pattern of printed[program.block.heading]) expect(out).toMatch(pattern);
    },
    TIMEOUT_MS,
  );

  const withTensorrt = shown.filter(({ block }) => block.note === "needs TensorRT");
  it.each(withTensorrt)(
    "runs line $block.line, or says why TensorRT does not, and runs it on the CPU",
    async (program) => {
      const asShown = await runFile(write(program, folder));
      const said = asShown.status === 0 ? asShown.out : asShown.error;
      expect(said).toMatch(asShown.status === 0 ? /^float32 / : /ModelLoadError[^]*cannot run TensorRT/);
      const text = program.block.text.replace("TensorrtTensor", "OnnxTensor");
      const onCpu = await runFile(write({ ...program, block: { ...program.block, text } }, folder));
      expect({ status: onCpu.status, error: onCpu.error }).toEqual({ status: 0, error: "" });
      for (const pattern of printed[program.block.heading]) expect(onCpu.out).toMatch(pattern);
    },
    TIMEOUT_MS,
  );
});

describe("code blocks that only a device can run", () => {
  const onDevice = shown.filter(({ block }) => block.note.startsWith("needs TensorRT, "));
  it.each(onDevice)(
    "runs line $block.line over the stand-ins of CUDA and TensorRT",
    async (program) => {
      const env = { TRTPIPE_CUDA: fakeCuda(), TRTPIPE_TENSORRT: libraries.tensorrt10 };
      const { status, out, error } = await runFile(write(program, folder), env);
      expect({ status, error }).toEqual({ status: 0, error: "" });
      for (const pattern of printed[program.block.heading]) expect(out).toMatch(pattern);
    },
    TIMEOUT_MS,
  );
});

/** Each line of the shell blocks, without what it sets in the environment. */
const commands = all
  .filter(({ language }) => language === "sh")
  .flatMap(({ text }) => text.trim().split("\n"))
  .map((line) => line.replace(/^(?:[A-Z_]+=\S+ )+/, ""));

interface Manifest {
  scripts: Record<string, string>;
  peerDependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

/** Those of the arguments of `npm install` that are neither this package nor one that it works with. */
function notInstallable(packages: readonly string[]): string[] {
  const known = new Set(["../trtpipe", ...Object.keys(manifest.peerDependencies)]);
  return packages.filter((name) => !known.has(name));
}

/** The script's name if there is none, or its file's if that is missing. */
function notRunnable(script: string): string[] {
  const command = manifest.scripts[script];
  if (command === undefined) return [script];
  const [, file] = /^node (\S+)/.exec(command) ?? [];
  return file === undefined || existsSync(join(root, file)) ? [] : [file];
}

describe("commands", () => {
  it.each(commands.filter((line) => line.startsWith("npm ")))("%s", (line) => {
    const [, verb, ...rest] = line.split(" ");
    const args = rest.filter((arg) => arg !== "-s");
    expect(verb === "install" ? notInstallable(args) : notRunnable(verb === "run" ? args[0] : verb)).toEqual(
      [],
    );
  });

  it("passes npm start what it understands", () => {
    const line = commands.find((command) => command.startsWith("npm start -- "))!;
    const args = line.split(" ").slice(3);
    expect(args.slice(0, 2)).toEqual(["--runtime", "bun"]);
    expect(readOptions(args.slice(2))).toEqual({ seconds: 10, clients: 20, json: false });
  });

  const denoLine = commands.find((command) => command.startsWith("deno run "))!;
  const permissions = denoLine.split(" ").filter((arg) => arg.startsWith("--allow"));
  const deno = join(root, "node_modules", ".bin", "deno");

  it(
    "names all permissions that Deno needs",
    async () => {
      const { block } = shown.find(({ block: { heading } }) => heading === "What a pipe tells")!;
      const path = write({ block, files: [] }, folder);
      const { status, error } = await runProgram(deno, ["run", "--no-prompt", ...permissions, path]);
      expect({ status, error }).toEqual({ status: 0, error: "" });
    },
    TIMEOUT_MS,
  );

  it(
    "names no permission that Deno does not need",
    async () => {
      writeFileSync(
        join(folder, "needs.js"),
        'import { pipe } from "trtpipe";\nawait (await pipe({ backend: "Identity" })).close();\n',
      );
      for (const flag of permissions) {
        const others = permissions.filter((other) => other !== flag);
        const { status } = await runProgram(deno, [
          "run",
          "--no-prompt",
          ...others,
          join(folder, "needs.js"),
        ]);
        expect({ flag, failed: status !== 0 }).toEqual({ flag, failed: true });
      }
    },
    TIMEOUT_MS,
  );
});

/** Members of an interface and the number that their comment gives as the default, from the source. */
function configKeys(name: string): Map<string, string | undefined> {
  const text = ["types.ts", "stats-types.ts", "options.ts"].map((file) =>
    readFileSync(join(root, "src", "pipe", file), "utf8"),
  );
  const source = ts.createSourceFile("types.ts", text.join("\n"), ts.ScriptTarget.Latest, true);
  const keys = new Map<string, string | undefined>();
  for (const node of source.statements) {
    if (!ts.isInterfaceDeclaration(node) || node.name.text !== name) continue;
    for (const member of node.members) {
      const comment = ts
        .getJSDocCommentsAndTags(member)
        .map((doc) => doc.getText())
        .join(" ");
      keys.set(member.name!.getText().replaceAll('"', ""), /\bDefault (\d+)/.exec(comment)?.[1]);
    }
  }
  return keys;
}

describe("tables", () => {
  it("name every field of stats()", () => {
    const rows = table(readme, "What a pipe tells");
    const told = rows.flatMap(([field]) => withoutTicks(field).split(", "));
    expect(told.toSorted()).toEqual([...configKeys("PipeStats").keys()].toSorted());
    expect(rows.every(([, unit, what]) => unit !== "" && what !== "")).toBe(true);
  });

  it.each([
    ["Configuration", "PipeConfig", 5],
    ["Images", "ImageOptions", 0],
    ["Precision", "PrecisionOptions", 0],
    ["TensorRT", "TensorrtOptions", 3],
  ])("name every key, under %s, with its default", (heading, name, defaults) => {
    const rows = table(readme, heading);
    const keys = configKeys(name);
    expect(rows.map(([key]) => withoutTicks(key))).toEqual([...keys.keys()]);
    const numbers = rows.filter(([key]) => keys.get(withoutTicks(key)) !== undefined);
    expect(numbers.length).toBeGreaterThanOrEqual(defaults);
    for (const [key, told] of numbers) {
      expect([key, told.split(",")[0]]).toEqual([key, keys.get(withoutTicks(key))]);
    }
  });

  it("name every error class, with its code", () => {
    const classes = Object.entries(trtpipe as Record<string, unknown>)
      .filter(([name]) => name.endsWith("Error") && name !== "TrtPipeError")
      .map(([name, value]) => [name, (value as { code: string }).code]);
    const rows = table(readme, "Errors").map(([name, code]) => [withoutTicks(name), withoutTicks(code)]);
    expect(rows.toSorted()).toEqual(classes.toSorted());
  });

  it("name every reason for a batch", () => {
    const rows = table(readme, "When a batch goes").map(([reason]) => withoutTicks(reason));
    expect(rows.toSorted()).toEqual(REASONS.toSorted());
  });

  it("name every dtype", () => {
    const rows = table(readme, "Inputs and results").flatMap(([dtypes]) => withoutTicks(dtypes).split(", "));
    const refused = (dtype: string): boolean => {
      try {
        trtpipe.Tensor.from([1], { dtype: dtype as trtpipe.Dtype });
        return false;
      } catch {
        return true;
      }
    };
    expect(rows.filter(refused)).toEqual([]);
    expect(rows.length).toBe(13);
  });
});
