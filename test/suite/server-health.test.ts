/** Readiness, as orchestrators ask for it: over HTTP, and by the standard health service of gRPC. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as GrpcJs from "@grpc/grpc-js";
import { afterAll, describe, expect, it } from "vitest";
import type { PipeConfig } from "trtpipe";
import { InferenceServer } from "../../src/server/server.ts";
import { useFaultLibrary } from "../support/fault.ts";
import { begin, connector } from "../support/grpc.ts";
import type { Client, Message } from "../support/grpc.ts";
import { affineModel } from "../support/models.ts";
import { rejection, sleep, within } from "../support/pipes.ts";
import { ask, starter } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const connect = connector(afterAll);
const connectHealth = (port: number): Client => connect(port, "health.proto", "grpc.health.v1.Health");

const check = async (client: Client, service: string): Promise<unknown> =>
  (await within(begin(client, "Check", { service }).promise, "Check")).status;

/** What a watch has been told so far, and its end. */
function watch(client: Client, service: string): { told: unknown[]; ended: Promise<unknown> } {
  const call = client.Watch({ service }) as unknown as GrpcJs.ClientReadableStream<Message>;
  const told: unknown[] = [];
  call.on("data", ({ status }: Message) => told.push(status));
  call.on("error", () => {});
  return { told, ended: new Promise((resolve) => call.once("end", resolve)) };
}

const models: Record<string, PipeConfig> = { echo: { backend: "(shape=4)Identity" } };
const serve = () => start(models, { grpcPort: 0, mayChange: true });

describe("Check", () => {
  it("tells of the server, by each name that probes use, and knows no others", async () => {
    const { grpcPort } = await serve();
    const client = connectHealth(grpcPort);
    for (const service of ["", "inference.GRPCInferenceService", "readiness", "liveness"]) {
      expect(await check(client, service)).toBe("SERVING");
    }
    const unknown = (await rejection(
      begin(client, "Check", { service: "x" }).promise,
    )) as GrpcJs.ServiceError;
    expect([unknown.code, unknown.details]).toEqual([5, 'Cannot find service "x"']);
  });

  it("is not ready before the models are, and lives", async () => {
    const server = new InferenceServer({
      sources: () => [{ name: "echo", version: "1", config: { backend: "Identity" } }],
      host: "127.0.0.1",
      port: 0,
      grpcPort: 0,
      mayChange: false,
      drainMs: 1000,
      version: "0",
      log: () => {},
    });
    const client = connectHealth((await server.listen()).grpcPort!);
    expect([await check(client, ""), await check(client, "liveness")]).toEqual(["NOT_SERVING", "SERVING"]);
    const { told } = watch(client, "readiness");
    await expect.poll(() => told).toEqual(["NOT_SERVING"]);
    await within(server.load(), "load()");
    expect(await check(client, "")).toBe("SERVING");
    await expect.poll(() => told).toEqual(["NOT_SERVING", "SERVING"]);
    await within(server.close(), "close()");
  });
});

describe("Watch", () => {
  it("tells what changes, and ends when the server does", async () => {
    const { server, port, grpcPort } = await serve();
    const client = connectHealth(grpcPort);
    const [ready, unknown] = [watch(client, ""), watch(client, "x")];
    await expect.poll(() => [...ready.told, ...unknown.told]).toEqual(["SERVING", "SERVICE_UNKNOWN"]);
    const change = (what: string) => ask(port, `/v2/repository/models/echo/${what}`, { body: "" });
    await change("unload");
    await expect.poll(() => ready.told).toEqual(["SERVING", "NOT_SERVING"]);
    await change("load");
    await expect.poll(() => ready.told).toEqual(["SERVING", "NOT_SERVING", "SERVING"]);
    expect(await within(server.close(), "close()")).toBe(true);
    await within(Promise.all([ready.ended, unknown.ended]), "the watches");
    expect(ready.told.at(-1)).toBe("NOT_SERVING");
    expect(unknown.told).toEqual(["SERVICE_UNKNOWN"]);
  });

  it("that is cancelled is forgotten", async () => {
    const { server, grpcPort } = await serve();
    const client = connectHealth(grpcPort);
    const call = client.Watch({ service: "" }) as unknown as GrpcJs.ClientReadableStream<Message>;
    call.on("error", () => {});
    await within(new Promise((resolve) => call.once("data", resolve)), "its first word");
    call.cancel();
    // Deno 2.9 ends the process by an assertion of its HTTP/2 if a connection ends at that very moment.
    await sleep(200);
    expect(await within(server.close(), "close()")).toBe(true);
  });
});

it("a model that comes later, or fails to, does not make the server unready", async () => {
  const folder = mkdtempSync(join(tmpdir(), "trtpipe-health-"));
  const path = join(folder, "late.onnx");
  writeFileSync(path, "broken");
  const found = { ...models };
  const { port } = await start(found, { mayChange: true });
  const ready = async (): Promise<number> => (await ask(port, "/v2/health/ready")).status;
  const load = () => ask(port, "/v2/repository/models/late/load", { body: "" });
  found.late = { backend: "OnnxTensor", model: path };
  expect((await load()).status).toBe(400);
  expect(await ready()).toBe(200);
  expect((await ask(port, "/v2/models/late/ready")).status).toBe(404);
  writeFileSync(path, affineModel());
  const loading = load();
  const seen: number[] = [];
  while ((await ask(port, "/v2/models/late/ready")).status !== 200) seen.push(await ready());
  expect((await loading).status).toBe(200);
  expect(seen.filter((status) => status !== 200)).toEqual([]);
  rmSync(folder, { recursive: true });
}, 20_000);
