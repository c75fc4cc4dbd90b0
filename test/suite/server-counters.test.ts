/** What a server counts, and whether it is ready, when a model is loaded anew, lost, or asked nonsense. */

import type * as GrpcJs from "@grpc/grpc-js";
import { afterAll, describe, expect, it } from "vitest";
import type { PipeConfig } from "trtpipe";
import { useFaultLibrary } from "../support/fault.ts";
import { begin, connector } from "../support/grpc.ts";
import type { Client, Message } from "../support/grpc.ts";
import { makeChannel } from "../support/memory.ts";
import { affineModel } from "../support/models.ts";
import { rejection, sleep, within } from "../support/pipes.ts";
import { ask, errorOf, jsonInput, starter } from "../support/server.ts";
import type { Answer } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const connect = connector(afterAll);
const SLOTS = 16;
process.env.TEST_SLOT_WORD = String(makeChannel({ slots: SLOTS }).layout.word);
/** See dying-worker-hooks.mjs. */
const DEATH = -102;

const post = (port: number, path: string, body: object | string = ""): Promise<Answer> =>
  ask(port, path, { body: typeof body === "string" ? body : JSON.stringify(body) });

/** Samples of /metrics by name and labels. */
async function metricsOf(port: number): Promise<Map<string, number>> {
  const lines = (await ask(port, "/metrics")).body.toString().split("\n");
  const samples = lines.flatMap((line) => /^([^#].*) (\S+)$/.exec(line)?.slice(1, 3) ?? []);
  return new Map(
    samples.flatMap((name, i) => (i % 2 === 0 ? [[name, Number(samples[i + 1])] as const] : [])),
  );
}

/** The statistics of model "m", as HTTP and gRPC tell them. */
async function statisticsOf(port: number, client: Client): Promise<[object, object]> {
  const http = (await ask(port, "/v2/models/m/stats")).json as { model_stats: object[] };
  const grpc = await begin(client, "ModelStatistics", { name: "m" }).promise;
  return [http.model_stats[0], (grpc.model_stats as object[])[0]];
}

const x = (rows: number): object => jsonInput("x", "FP32", [rows, 4], new Array(rows * 4).fill(1));

describe("counters", () => {
  it("never fall when a model is loaded anew, with another max, or unloaded between", async () => {
    const config: PipeConfig = { backend: "OnnxTensor", model: affineModel(), max: 4 };
    const { port, grpcPort } = await start({ m: config }, { mayChange: true, grpcPort: 0 });
    const infer = (rows: number) => post(port, "/v2/models/m/infer", { inputs: [x(rows)] });
    for (const rows of [1, 4, 2]) expect((await infer(rows)).status).toBe(200);
    const labels = 'model="m",version="1"';
    const counted = async () => {
      const metrics = await metricsOf(port);
      const names = [...metrics.keys()].filter(
        (name) => name.includes(labels) && /_(total|count|sum|bucket)\b/.test(name),
      );
      return new Map(names.map((name) => [name, metrics.get(name)!]));
    };
    let before = await counted();
    expect(before.size).toBeGreaterThan(20);
    for (const [path, max] of [
      ["load", 2],
      ["load", 8],
      ["unload", 8],
      ["load", 4],
    ] as const) {
      config.max = max;
      expect((await post(port, `/v2/repository/models/m/${path}`)).status).toBe(200);
      if (path === "unload") continue;
      expect((await infer(2)).status).toBe(200);
      const after = await counted();
      const fallen = [...before].filter(([name, value]) => (after.get(name) ?? Infinity) < value);
      expect(fallen).toEqual([]);
      before = after;
    }
    expect(before.get(`trtpipe_rows_total{${labels}}`)).toBe(7 + 3 * 2);
    expect(before.get(`trtpipe_requests_total{${labels},protocol="http",outcome="ok"}`)).toBe(6);
    expect(before.get(`trtpipe_batch_rows_count{${labels}}`)).toBe(6);
    const [http, grpc] = await statisticsOf(port, connect(grpcPort));
    expect(http).toMatchObject({
      inference_count: 13,
      execution_count: 6,
      inference_stats: { success: { count: 6 } },
    });
    expect(grpc).toMatchObject(http);
  });

  it("count requests that cannot be read, and deadlines that had passed", async () => {
    const { port, grpcPort } = await start(
      { m: { backend: "OnnxTensor", model: affineModel() } },
      { grpcPort: 0 },
    );
    for (const body of [
      "{",
      "{}",
      '{"inputs":[{"name":"x","datatype":"FP31"}]}',
      JSON.stringify({ inputs: [] }),
    ]) {
      expect((await post(port, "/v2/models/m/infer", body)).status).toBe(400);
    }
    const client = connect(grpcPort);
    const error = (await rejection(
      begin(client, "ModelInfer", { model_name: "m" }).promise,
    )) as GrpcJs.ServiceError;
    expect(error.code).toBe(3);
    const metrics = await metricsOf(port);
    const count = (protocol: string): number | undefined =>
      metrics.get(`trtpipe_requests_total{model="m",version="1",protocol="${protocol}",outcome="refused"}`);
    expect([count("http"), count("grpc")]).toEqual([4, 1]);
    const [http, grpc] = await statisticsOf(port, client);
    const fails = { inference_stats: { fail: { count: 5 } } };
    expect([http, grpc]).toMatchObject([fails, fails]);
  });

  it("carry any name of a model", async () => {
    const name = 'a"b\\c\nd,e}ö';
    const { port } = await start({ [name]: { backend: "(shape=4)Identity" } });
    const text = (await ask(port, "/metrics")).body.toString();
    expect(text).toContain(String.raw`trtpipe_model_ready{model="a\"b\\c\nd,e}ö",version="1"} 1`);
    const label = String.raw`\w+="(?:[^"\\\n]|\\["\\n])*"`;
    const sample = new RegExp(String.raw`^\w+(?:\{${label}(?:,${label})*\})? (?:[-+.\de]+|[+-]Inf|NaN)$`);
    const lines = text.trimEnd().split("\n");
    expect(lines.filter((line) => !line.startsWith("# ") && !sample.test(line))).toEqual([]);
    const types = lines.filter((line) => line.startsWith("# TYPE "));
    expect(new Set(types).size).toBe(types.length);
  });
});

describe("a model whose instances were all lost", () => {
  const mortal: PipeConfig = {
    backend: "(shape=1)Identity",
    max: 1,
    max_queue: SLOTS,
    workerUrl: new URL("../support/dying-worker.mjs", import.meta.url),
  };

  it("makes it and the server unready until it is loaded anew", async () => {
    const other: PipeConfig = { backend: "(shape=4)Identity" };
    const options = { mayChange: true, grpcPort: 0 };
    const { port, grpcPort } = await start({ mortal, other }, options);
    const watch = connect(grpcPort, "health.proto", "grpc.health.v1.Health");
    const told: unknown[] = [];
    const call = watch.Watch({ service: "" }) as unknown as GrpcJs.ClientReadableStream<Message>;
    call.on("data", ({ status }: Message) => told.push(status)).on("error", () => {});
    const infer = (value: number): Promise<Answer> =>
      post(port, "/v2/models/mortal/infer", { inputs: [jsonInput("input", "FP32", [1, 1], [value])] });
    const statuses = (...paths: string[]): Promise<number[]> =>
      Promise.all(paths.map(async (path) => (await ask(port, path)).status));
    const asked = [
      "/v2/health/live",
      "/v2/health/ready",
      "/v2/models/mortal/ready",
      "/v2/models/other/ready",
    ];
    expect((await infer(1)).status).toBe(200);
    expect(await statuses(...asked)).toEqual([200, 200, 200, 200]);

    const deaths = await within(Promise.all([1, 2, 3, 4, 5].map(() => infer(DEATH))), "five deaths");
    expect(deaths.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    await expect.poll(() => statuses(...asked)).toEqual([200, 503, 503, 200]);
    const lost = await infer(1);
    expect([lost.status, errorOf(lost)]).toEqual([503, expect.stringContaining("instances were lost")]);
    expect((await metricsOf(port)).get("trtpipe_ready")).toBe(0);
    const index = (await post(port, "/v2/repository/index")).json;
    expect(index).toContainEqual(expect.objectContaining({ name: "mortal", state: "UNAVAILABLE" }));

    expect((await post(port, "/v2/repository/models/mortal/load")).status).toBe(200);
    expect(await statuses(...asked)).toEqual([200, 200, 200, 200]);
    expect((await infer(1)).status).toBe(200);
    await expect.poll(() => told).toEqual(["SERVING", "NOT_SERVING", "SERVING"]);
    call.cancel();
    const counts = await metricsOf(port);
    const key = 'trtpipe_requests_total{model="mortal",version="1",protocol="http",outcome="ok"}';
    expect(counts.get(key)).toBe(2);
  }, 20_000);

  it("is loaded anew by the server, as often as that takes", async () => {
    const models: Record<string, PipeConfig> = { mortal };
    const { port, logged } = await start(models, { reviveMs: 200 });
    const infer = (value: number): Promise<Answer> =>
      post(port, "/v2/models/mortal/infer", { inputs: [jsonInput("input", "FP32", [1, 1], [value])] });
    const ready = async (): Promise<number> => (await ask(port, "/v2/health/ready")).status;
    await within(Promise.all([1, 2, 3, 4, 5].map(() => infer(DEATH))), "five deaths");
    models.mortal = { backend: "OnnxTensr" };
    const failures = () => logged.filter(({ text }) => text === "Cannot bring mortal back yet").length;
    await expect.poll(failures, { timeout: 10_000 }).toBeGreaterThan(1);
    expect([await ready(), (await infer(1)).status]).toEqual([503, 503]);
    models.mortal = mortal;
    await expect.poll(ready, { timeout: 15_000 }).toBe(200);
    expect((await infer(1)).status).toBe(200);
  }, 40_000);

  it("is loaded anew soon, if it had served for long", async () => {
    const models: Record<string, PipeConfig> = { mortal };
    const reviveMs = 50;
    const { port, logged } = await start(models, { reviveMs });
    const infer = (value: number): Promise<Answer> =>
      post(port, "/v2/models/mortal/infer", { inputs: [jsonInput("input", "FP32", [1, 1], [value])] });
    const ready = async (): Promise<number> => (await ask(port, "/v2/health/ready")).status;
    const die = (): Promise<unknown> => Promise.all([1, 2, 3, 4, 5].map(() => infer(DEATH)));
    await within(die(), "five deaths");
    models.mortal = { backend: "OnnxTensr" };
    const failures = () => logged.filter(({ text }) => text === "Cannot bring mortal back yet").length;
    await expect.poll(failures, { timeout: 10_000 }).toBeGreaterThan(4);
    models.mortal = mortal;
    await expect.poll(ready, { timeout: 15_000 }).toBe(200);
    await sleep(33 * reviveMs);
    await within(die(), "five more");
    const diedAt = performance.now();
    await expect.poll(ready, { timeout: 15_000, interval: 10 }).toBe(200);
    expect(performance.now() - diedAt).toBeLessThan(24 * reviveMs);
  }, 40_000);
});
