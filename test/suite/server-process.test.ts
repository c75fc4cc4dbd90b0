/** `trtpipe serve` as a process: what it can be given, what it prints, and how it ends. */

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sumAndProductModel } from "../models.ts";
import { blocks, readDocument } from "../readme/markdown.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { affineModel } from "../support/models.ts";
import { sleep, within } from "../support/pipes.ts";
import { launcher, terminate } from "../support/serve.ts";
import { ask, errorOf, jsonInput } from "../support/server.ts";
import type { Answer } from "../support/server.ts";
import { root } from "../tidy/sources.ts";

useFaultLibrary();
let folder = "";
const { begin, serve, failure } = launcher(afterEach, () => folder);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-serve-"));
  for (const version of ["1", "2", "10"]) {
    mkdirSync(join(folder, "repository", "versioned", version), { recursive: true });
    writeFileSync(join(folder, "repository", "versioned", version, "model.onnx"), affineModel());
  }
  writeFileSync(join(folder, "repository", "versioned", "config.toml"), 'max = 2\ninstance_num = "2"\n');
  writeFileSync(join(folder, "repository", "pair.onnx"), sumAndProductModel());
  writeFileSync(join(folder, "two-inputs.onnx"), sumAndProductModel());
  const tables = ["batching_timeout = 5", '[first]\nmodel = "two-inputs.onnx"\nmax = 8\nversion = 3'];
  writeFileSync(join(folder, "models.toml"), `${tables.join("\n")}\n[slow]\nbackend = "(shape=4)Fault"\n`);
});

afterAll(() => rmSync(folder, { recursive: true }));

const infer = (port: number, model: string, request: object): Promise<Answer> =>
  ask(port, `/v2/models/${model}/infer`, { body: JSON.stringify(request) });
const slow = (port: number, code: number, argument: number): Promise<Answer> =>
  infer(port, "slow", { inputs: [jsonInput("input", "FP32", [1, 4], [code, argument, 0, 0])] });

describe("what is served", () => {
  it("is one model, with the options as its configuration", async () => {
    const { port, child, ended } = await serve("two-inputs.onnx", "--max", "8", "--instance-num=2");
    expect((await ask(port, "/v2/models/two-inputs/config")).json).toMatchObject({
      max_batch_size: 8,
      instance_group: [{ count: 2 }],
    });
    terminate(child);
    expect(await within(ended, "the server's end")).toBe(0);
  });

  it("may have another name than its file", async () => {
    const { port } = await serve("two-inputs.onnx", "--name", "mine");
    expect((await ask(port, "/v2/models/mine")).json).toMatchObject({ name: "mine", versions: ["1"] });
    expect((await ask(port, "/v2/models/two-inputs")).status).toBe(404);
  });

  it("is a file in TOML, a table per model", async () => {
    const { port } = await serve("models.toml", "--max", "2");
    expect((await ask(port, "/v2/models/first")).json).toMatchObject({ name: "first", versions: ["3"] });
    expect((await ask(port, "/v2/models/first/config")).json).toMatchObject({
      max_batch_size: 8,
      dynamic_batching: { max_queue_delay_microseconds: 5000 },
    });
    expect((await ask(port, "/v2/models/slow/config")).json).toMatchObject({ max_batch_size: 2 });
  });

  it("is a folder of models and versions, the highest of each", async () => {
    const { port } = await serve("repository");
    expect((await ask(port, "/v2/models/versioned")).json).toMatchObject({ versions: ["10"] });
    expect((await ask(port, "/v2/models/versioned/config")).json).toMatchObject({
      max_batch_size: 2,
      instance_group: [{ count: 2 }],
    });
    expect((await ask(port, "/v2/models/versioned/versions/2")).status).toBe(404);
    expect((await ask(port, "/v2/models/pair/ready")).status).toBe(200);
  });

  it("is all versions if asked to, and what was put into the folder later", async () => {
    const { port } = await serve("repository", "--versions", "all", "--model-control");
    expect((await ask(port, "/v2/models/versioned")).json).toMatchObject({ versions: ["1", "2", "10"] });
    const row = { inputs: [jsonInput("x", "FP32", [1, 4], [1, 2, 3, 4])] };
    const old = await infer(port, "versioned/versions/2", row);
    expect(old.json).toMatchObject({ model_version: "2", outputs: [{ data: [3, 5, 7, 9] }] });
    expect((await infer(port, "versioned", row)).json).toMatchObject({ model_version: "10" });
    writeFileSync(join(folder, "repository", "later.onnx"), affineModel());
    const load = (name: string) => ask(port, `/v2/repository/models/${name}/load`, { body: "" });
    expect((await load("later")).status).toBe(200);
    expect((await infer(port, "later", row)).status).toBe(200);
    writeFileSync(join(folder, "repository", "later.onnx"), "broken");
    const broken = await load("later");
    expect([broken.status, errorOf(broken)]).toEqual([400, expect.stringContaining("later.onnx")]);
    expect((await infer(port, "later", row)).status).toBe(200);
    rmSync(join(folder, "repository", "later.onnx"));
  });

  it("is refused with what is wrong", async () => {
    writeFileSync(join(folder, "wrong.toml"), '[one]\nmodel = "two-inputs.onnx"\nbatching_timout = 5\n');
    writeFileSync(join(folder, "broken.toml"), "[one\n");
    mkdirSync(join(folder, "empty"), { recursive: true });
    const cases: [string[], number, string][] = [
      [["repository", "--name", "x"], 2, "expected one model, because pair, versioned have names"],
      [["nothing.onnx"], 2, "a model, a .toml file or a folder that exists"],
      [["empty"], 2, "NAME/1/model.onnx"],
      [["wrong.toml"], 2, 'did you mean "batching_timeout"?'],
      [["broken.toml"], 2, "a file in TOML"],
      [["two-inputs.onnx", "--port", "70000"], 2, "a whole number from 0 to 65535"],
      [["two-inputs.onnx", "--max", "0"], 2, "Cannot use max"],
    ];
    for (const [args, code, text] of cases) {
      const where = args.includes("--port") ? [] : ["--port", "0", "--grpc-port", "0"];
      expect(await failure(...args, ...where)).toEqual([code, expect.stringContaining(text)]);
    }
  }, 60_000);

  it("listens at an address of IPv6, in either form", async () => {
    for (const host of ["::1", "[::1]"]) {
      const { line } = begin([
        "two-inputs.onnx",
        "--host",
        host,
        "--port",
        "0",
        "--grpc-port",
        "off",
        "--json",
      ]);
      const text = await within(line, "the server's start", 10_000);
      expect(JSON.parse(text)).toEqual({ http: expect.stringMatching(/^http:\/\/\[::1\]:\d+$/), grpc: null });
    }
  });

  it("goes on when nobody reads what it prints", async () => {
    const begun = begin(["two-inputs.onnx", "--port", "0", "--grpc-port", "0", "--log-level", "debug"]);
    await expect.poll(begun.log, { timeout: 10_000 }).toContain("Listening");
    const port = Number(/"port":(\d+)/.exec(begun.log())?.[1]);
    begun.child.stdout!.destroy();
    begun.child.stderr!.destroy();
    const ready = async (): Promise<number> => (await ask(port, "/v2/health/ready")).status;
    await expect.poll(ready, { timeout: 10_000 }).toBe(200);
    for (let i = 0; i < 20; i++) expect(await ready()).toBe(200);
    terminate(begun.child);
    expect(await within(begun.ended, "the server's end")).toBe(0);
  });

  it("says when its port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as AddressInfo;
    const both = await failure("two-inputs.onnx", "--port", String(port), "--grpc-port", "off");
    const grpc = await failure("two-inputs.onnx", "--port", "0", "--grpc-port", String(port));
    taken.close();
    const line = (protocol: string, option: string): string =>
      `trtpipe serve: Cannot listen at 127.0.0.1:${port} for ${protocol}: ` +
      `the port is taken (see --host and ${option})\n`;
    expect(both).toEqual([1, line("HTTP", "--port")]);
    expect(grpc).toEqual([1, line("gRPC", "--grpc-port")]);
  });
});

describe("SIGTERM", () => {
  it("lets every accepted request have its answer, and ends within a second after the last", async () => {
    const { port, child, ended, log } = await serve("models.toml");
    const requests = Array.from({ length: 8 }, () => slow(port, Fault.sleepMs, 100));
    await sleep(60);
    terminate(child);
    expect((await Promise.all(requests)).map(({ status }) => status)).toEqual(requests.map(() => 200));
    const answeredMs = performance.now();
    expect(await within(ended, "the server's end")).toBe(0);
    expect(performance.now() - answeredMs).toBeLessThan(1000);
    expect(
      log()
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as unknown),
    ).not.toEqual([]);
  });

  it("does not wait longer than it was told to", async () => {
    const { port, child, ended } = await serve("models.toml", "--drain-timeout", "200");
    const request = slow(port, Fault.sleepMs, 1200);
    await sleep(100);
    terminate(child);
    expect((await request).status).toBe(503);
    expect(await within(ended, "the server's end")).toBe(1);
  });

  it("ends a server that is still loading, and a second one ends it at once", async () => {
    const loading = begin(["models.toml", "--port", "0", "--grpc-port", "0"]);
    await expect.poll(loading.log, { timeout: 10_000 }).toContain("Listening");
    terminate(loading.child);
    expect(await within(loading.ended, "the end while it loads")).toBe(0);
    const { port, child, ended } = await serve("models.toml");
    const request = slow(port, Fault.sleepMs, 3000).catch(() => null);
    await sleep(100);
    terminate(child);
    await sleep(300);
    terminate(child);
    expect(await within(ended, "the server's end", 4000)).toBe(130);
    await request;
  });
});

describe("README", () => {
  it("shows commands that serve a model and ask it", async () => {
    const shown = blocks(readDocument("README.md")).filter(({ heading }) => heading === "Serving models");
    const [first, second] = shown.filter(({ language }) => language === "sh").map(({ text }) => text.trim());
    const { port } = await serve(...first.replace("npx trtpipe serve ", "").split(" "));
    const child = spawn("sh", ["-c", second.replace("localhost:8000", `127.0.0.1:${port}`)]);
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    await new Promise((resolve) => child.once("close", resolve));
    const answer = shown.find(({ language }) => language === "json")!.text;
    expect(JSON.parse(out)).toEqual(JSON.parse(answer));
  });

  it("names every metric", async () => {
    const { port } = await serve("two-inputs.onnx");
    const text = (await ask(port, "/metrics")).body.toString();
    const names = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name).toSorted();
    const documented = readFileSync(join(root, "docs", "SERVER.md"), "utf8");
    const told = [...documented.matchAll(/^\| `(trtpipe_\w+|process_\w+)`/gm)]
      .map(([, name]) => name)
      .toSorted();
    expect(told).toEqual(names);
  });
});
