/**
 * A fresh process for one server, one model and one number of connections: starts the server, waits for its
 * first right answer, lets the clients run, and tells what the server took meanwhile.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { childSpec, report } from "../lib/child-io.ts";
import { closedLoop } from "../lib/closed-loop.ts";
import { cpuMicroseconds } from "../lib/process.ts";
import { isRight, readModelData } from "../models/data.ts";
import type { ModelData, ModelName } from "../models/data.ts";
import { checkedTarget } from "../models/target.ts";
import type { Inference } from "../models/target.ts";
import { RawGrpcConnection, grpcBytes, grpcFloats } from "./raw-grpc.ts";
import { RawConnection, wireBytes } from "./raw-http.ts";
import { ServerProcess, freePort } from "./server-process.ts";
import { floatsOf, requestOf } from "./wire.ts";
import type { Format, RawAnswer } from "./wire.ts";

export interface ServeSpec {
  model: ModelName;
  clients: number;
  warmUpMs: number;
  measureMs: number;
  /** "PORT" and "GRPC_PORT" in the arguments and the environment are replaced by free ones. */
  file: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  protocol: "http" | "grpc";
  format: Format;
  path: string;
  /** Where the server has trtpipe's `/status.json`. */
  hasStatus: boolean;
  /** All is ended after this time. */
  limitMs: number;
}

const START_MS = 60_000;

const spec = childSpec<ServeSpec>();
const model = readModelData(spec.model);
const [port, grpcPort] = [await freePort(), await freePort()];
const place = (text: string): string => text.replace("GRPC_PORT", `${grpcPort}`).replace("PORT", `${port}`);
const startedAt = performance.now();
const server = new ServerProcess({
  file: spec.file,
  args: spec.args.map(place),
  env: Object.fromEntries(Object.entries(spec.env).map(([key, value]) => [key, place(value)])),
});
const giveUp = (): never => {
  server.kill();
  process.exit(1);
};
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, giveUp);
setTimeout(giveUp, spec.limitMs).unref();
try {
  await measure();
} catch (error) {
  console.error(`Error: ${(error as Error).message}; the server said: ${server.lastWords()}`);
  process.exitCode = 1;
} finally {
  await server.end();
}
process.exit();

async function measure(): Promise<void> {
  await firstAnswer();
  const startS = (performance.now() - startedAt) / 1000;
  const connections = Array.from({ length: spec.clients }, open);
  const targets = connections.map((connection) => checkedTarget(connection, model));
  let answers = 0;
  const before = { server: server.usage().cpuSeconds, own: cpuMicroseconds(), at: performance.now() };
  const measured = await closedLoop(
    {
      send: (client, turn) => targets[client].send(client, turn),
      check: (client, turn, answer: unknown) => {
        answers++;
        return targets[client].check(client, turn, answer);
      },
    },
    spec,
  );
  const { cpuSeconds, memoryMb } = server.usage();
  const seconds = (performance.now() - before.at) / 1000;
  const used = cpuSeconds - before.server;
  await Promise.all(connections.map((connection) => connection.close()));
  report({
    cell: "all",
    ...measured,
    // These are the clients', who are not what is measured.
    loop_delay_p50_ms: null,
    loop_delay_p99_ms: null,
    loop_delay_max_ms: null,
    rss_mb: memoryMb,
    mean_batch: spec.hasStatus ? await meanBatch() : null,
    cpu_us_per_request: (used / answers) * 1e6,
    cpu_cores: used / seconds,
    client_cores: (cpuMicroseconds() - before.own) / 1e6 / seconds,
    start_s: startS,
  });
}

/** Asks until the server answers rightly. A wrong answer is not waited for to become right. */
async function firstAnswer(): Promise<void> {
  for (;;) {
    server.assertRuns();
    const connection = open();
    let output: Float32Array | undefined;
    let refused: unknown;
    try {
      output = connection.output(await connection.send(model.inputs[0]));
    } catch (error) {
      refused = error;
    } finally {
      await connection.close();
    }
    if (refused === undefined) {
      if (isRight(model, 0, output)) return;
      throw new Error("The server's first answer is wrong");
    }
    if (performance.now() - startedAt > START_MS)
      throw new Error(
        `The server does not answer within ${START_MS / 1000} s: ${(refused as Error).message}`,
      );
    await sleep(20);
  }
}

function open(): Inference<unknown> {
  if (spec.protocol === "grpc") return openGrpc(model) as Inference<unknown>;
  return openHttp(model) as Inference<unknown>;
}

function openHttp({ inputs }: ModelData): Inference<RawAnswer> {
  const connection = new RawConnection(port);
  return {
    send: async (item) => {
      const answer = await connection.send(requests()[inputs.indexOf(item)]);
      if (answer.status === 200) return answer;
      throw new Error(`The server answered ${answer.status}: ${answer.body.toString().slice(0, 200)}`);
    },
    output: (answer) => floatsOf(spec.format, answer),
    close: () => {
      connection.close();
      return Promise.resolve();
    },
  };
}

function openGrpc({ inputs }: ModelData): Inference<Buffer> {
  const connection = new RawGrpcConnection(grpcPort);
  return {
    send: (item) => connection.send(requests()[inputs.indexOf(item)]),
    output: grpcFloats,
    close: () => {
      connection.close();
      return Promise.resolve();
    },
  };
}

let made: Buffer[] | undefined;

/** The requests as they go over the wire, one for each input. */
function requests(): Buffer[] {
  made ??= model.inputs.map((item) =>
    spec.protocol === "grpc"
      ? grpcBytes(model, item)
      : wireBytes(requestOf(spec.format, model, item, spec.path), port),
  );
  return made;
}

/** Of all requests since the server began. */
async function meanBatch(): Promise<number | null> {
  const answer = await fetch(`http://127.0.0.1:${port}/status.json`);
  const { models } = (await answer.json()) as { models: { serving: { rows: number; batches: number } }[] };
  const [{ serving }] = models;
  return serving.batches > 0 ? serving.rows / serving.batches : null;
}
