/** `trtpipe bench` and `trtpipe tune` on a real model, in the runtime that runs the tests. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runChild, type Ended } from "../support/child.ts";
import { root } from "../tidy/sources.ts";

const magika = join(root, "examples", "data", "magika.onnx");
let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "trtpipe-bench-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const trtpipe = (...args: string[]): Promise<Ended> => runChild("dist/cli.js", { args, limitMs: 60_000 });

describe("trtpipe bench", () => {
  it("measures a model for each load, and draws it", async () => {
    const picture = join(folder, "load.svg");
    const ended = await trtpipe(
      "bench", magika, "--clients", "1,3", "--max", "2", "--seconds", "0.3", "--plot", picture, "--json",
    ); // prettier-ignore
    expect(ended).toMatchObject({ code: 0, hung: false });
    const { target, rows } = JSON.parse(ended.lines.join("\n")) as { target: string; rows: object[] };
    expect(target).toMatch(/magika\.onnx on OnnxTensor .*instance_num 1, max 2/);
    expect(rows).toMatchObject([
      { clients: 1, failures: {}, mean_batch: 1 },
      { clients: 3, failures: {} },
    ]);
    for (const row of rows) expect(row).toHaveProperty("requests_per_s", expect.any(Number));
    expect(readFileSync(picture, "utf8")).toMatch(/^<svg [^]*3 clients[^]*<\/svg>\n$/);
  });

  it("prints a table, and counts what was given up", async () => {
    const ended = await trtpipe("bench", magika, "--rate", "2000", "--timeout", "5", "--seconds", "0.3");
    expect(ended.lines[0]).toMatch(/^load +requests\/s +p50 ms/);
    expect(ended.lines[1]).toMatch(/^2000\/s .* \d+ TimeoutError/);
  });

  it("measures a server of the Open Inference Protocol", async () => {
    const asked: { path: string; bytes: number; header: string | undefined }[] = [];
    const metadata = { name: "m", inputs: [{ name: "x", datatype: "FP16", shape: [-1, 3] }] };
    const server = createServer((request, response) => {
      let bytes = 0;
      request.on("data", (part: Buffer) => void (bytes += part.length));
      request.on("end", () => {
        const path = request.url ?? "";
        if (path.endsWith("/infer")) {
          const header = request.headers["inference-header-content-length"];
          asked.push({ path, bytes, header: String(header) });
          response.statusCode = asked.length % 2 === 0 ? 503 : 200;
        }
        const counts = { inference_count: 4 * asked.length, execution_count: asked.length };
        response.end(JSON.stringify(path.endsWith("/stats") ? { model_stats: [counts] } : metadata));
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ended = await trtpipe(
      "bench", url, "--name", "m", "--rows", "2", "--clients", "1", "--seconds", "0.3", "--json",
    ); // prettier-ignore
    server.close();
    server.closeAllConnections();
    expect(ended).toMatchObject({ code: 0, hung: false });
    const { rows } = JSON.parse(ended.lines.join("\n")) as { rows: { failures: object }[] };
    expect(rows).toMatchObject([{ clients: 1, mean_batch: 4 }]);
    expect(Object.keys(rows[0].failures)).toEqual(["HTTP 503"]);
    expect(asked[0].path).toBe("/v2/models/m/infer");
    expect(asked[0].bytes).toBe(Number(asked[0].header) + 2 * 3 * 2);
  });

  it.each([
    [["--clients", "0"], '--clients: expected a whole number from 1 to 100000, got "0"'],
    [["--clients", "1", "--rate", "1"], "--rate: expected either --clients or --rate, got both"],
    [["--seconds", "-1"], '--seconds: expected a number above 0, at most 3600, got "-1"'],
    [["--plot", "a.pdf"], '--plot: expected a path that ends with .svg or .png, got "a.pdf"'],
    [["--shape", "y=1x2"], "--shape: expected an input of bytes, got y"],
    [["--max", "many"], "max"],
  ])("refuses %j with status 2", async (args, text) => {
    const { code, stderr } = await trtpipe("bench", magika, ...args);
    expect(stderr).toContain(text);
    expect(code).toBe(2);
  });
});

describe("trtpipe tune", () => {
  it("writes a configuration, and says why it is the best", async () => {
    const path = join(folder, "magika.toml");
    const { code, lines, stderr } = await trtpipe(
      "tune", magika, "--clients", "1", "--seconds", "0.05", "--write", path,
    ); // prettier-ignore
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(lines.join("\n")).toMatch(/^1 client, \d+ configurations[^]*\nbest[^]* gives /m);
    const config = parse(readFileSync(path, "utf8"));
    expect(config).toEqual({
      magika: {
        model: magika,
        backend: "OnnxTensor",
        instance_num: expect.any(Number) as number,
        intra_op_threads: expect.any(Number) as number,
        max: expect.any(Number) as number,
        batching_timeout: expect.any(Number) as number,
      },
    });
  });

  it("ends with status 1 if nothing is within the bound", async () => {
    const { code, stderr } = await trtpipe(
      "tune", magika, "--clients", "1", "--seconds", "0.05", "--p99-ms", "0.001",
    ); // prettier-ignore
    expect(stderr).toMatch(/no configuration ran with p99 within 0\.001 ms; the lowest p99 was [\d.]+ ms/);
    expect(code).toBe(1);
  });
});
