/** SIGTERM under load: what was accepted is answered, the rest is told so, and the process ends soon. */

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as GrpcJs from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { begin as call, connector } from "../support/grpc.ts";
import type { Message } from "../support/grpc.ts";
import { sleep, within } from "../support/pipes.ts";
import { RawClient, post } from "../support/raw-client.ts";
import { launcher, portsOf, terminate, watch } from "../support/serve.ts";
import { ask, jsonInput } from "../support/server.ts";
import { root } from "../tidy/sources.ts";

useFaultLibrary();
let folder = "";
const { serve } = launcher(afterEach, () => folder);
const connect = connector(afterEach);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-end-"));
  const model = 'backend = "(shape=4)Fault"\ninstance_num = 2\nmax = 4\n';
  writeFileSync(join(folder, "models.toml"), `[slow]\n${model}`);
  writeFileSync(
    join(folder, "package.json"),
    '{"scripts":{"serve":"trtpipe serve","serve-exec":"exec trtpipe serve"}}',
  );
  mkdirSync(join(folder, "node_modules", ".bin"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules", "trtpipe"));
  symlinkSync(join(root, "dist", "cli.js"), join(folder, "node_modules", ".bin", "trtpipe"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const PATH = "/v2/models/slow/infer";
const jsonOf = (ms: number): string =>
  JSON.stringify({ inputs: [jsonInput("input", "FP32", [1, 4], [Fault.sleepMs, ms, 0, 0])] });
function request(ms: number): string {
  const body = jsonOf(ms);
  return post(PATH, [`Content-Length: ${body.length}`]) + body;
}

/** A connection that is kept, and what became of the requests on it. */
class Kept {
  readonly #client: RawClient;
  /** The server has closed its side. */
  closed = false;
  sent = 0;

  constructor(port: number) {
    this.#client = new RawClient(port);
    this.#client.socket.once("end", () => (this.closed = true));
    void this.#client.closed.then(() => (this.closed = true));
  }

  send(ms: number, times = 1): void {
    this.sent += times;
    this.#client.send(request(ms).repeat(times));
  }

  get statuses(): number[] {
    return [...this.#client.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  }

  /** The server will answer nothing more here. */
  get last(): boolean {
    return this.closed || /connection: close/i.test(this.#client.text);
  }

  async answered(): Promise<void> {
    while (this.statuses.length < this.sent && !this.closed) await sleep(1);
  }

  /** One request after the other until the server wants no more. */
  async loop(ms: number): Promise<void> {
    while (!this.last) {
      this.send(ms);
      await this.answered();
    }
  }
}

describe("over HTTP", () => {
  it("every request is answered: in loops, after idling, and without waiting", async () => {
    const { port, child, ended } = await serve("models.toml");
    const loops = Array.from({ length: 16 }, () => new Kept(port));
    const idle = Array.from({ length: 40 }, () => new Kept(port));
    for (const one of idle) one.send(0);
    await Promise.all(idle.map((one) => one.answered()));
    const looping = loops.map((one, i) => one.loop(5 + i));
    await sleep(600);
    // Three that were sent at once, of which the first runs.
    const eager = [new Kept(port), new Kept(port)];
    for (const one of eager) one.send(150, 3);
    await sleep(50);
    terminate(child);
    // Some of these come before the signal is noticed, and some after it.
    const late = idle.map(async (one, i) => {
      await sleep(i * 4);
      if (!one.closed) one.send(10);
      await one.answered();
    });
    await within(Promise.all([...looping, ...late, ...eager.map((one) => one.answered())]), "the answers");
    const answeredMs = performance.now();
    for (const one of [...loops, ...idle, ...eager]) {
      expect(one.statuses).toEqual(Array.from({ length: one.sent }, () => 200));
    }
    expect(idle.filter(({ sent }) => sent === 2).length).toBe(40);
    expect(await within(ended, "the server's end")).toBe(0);
    expect(performance.now() - answeredMs).toBeLessThan(1000);
  }, 30_000);
});

describe("over gRPC", () => {
  const message = (ms: number): Message => ({
    model_name: "slow",
    inputs: [{ name: "input", datatype: "FP32", shape: [1, 4] }],
    raw_input_contents: [Buffer.from(new Float32Array([Fault.sleepMs, ms, 0, 0]).buffer)],
  });

  it("every call that came is answered, and later ones are UNAVAILABLE", async () => {
    const { grpcPort, child, ended } = await serve("models.toml");
    const client = connect(grpcPort);
    let over = false;
    const late: number[] = [];
    let answered = 0;
    const loop = async (ms: number): Promise<void> => {
      while (!over) {
        try {
          await call(client, "ModelInfer", message(ms)).promise;
          answered++;
        } catch (error) {
          const { code, details } = error as GrpcJs.ServiceError;
          // Never accepted: the client was told so and looked for another server. Not: cut off, or no answer.
          if (!/No connection established|shutting down/i.test(details)) throw error;
          late.push(code);
          over = true;
        }
      }
    };
    const loops = Array.from({ length: 16 }, (_, i) => loop(5 + i));
    await sleep(500);
    terminate(child);
    await within(Promise.all(loops), "the calls");
    const answeredMs = performance.now();
    expect(answered).toBeGreaterThan(30);
    expect(late.filter((code) => code !== 14)).toEqual([]);
    expect(await within(ended, "the server's end")).toBe(0);
    expect(performance.now() - answeredMs).toBeLessThan(1000);
  }, 30_000);

  it("a stream is answered as far as it was read, and ends with UNAVAILABLE", async () => {
    const { port, grpcPort, child, ended } = await serve("models.toml");
    const rows = async (): Promise<string | undefined> => {
      const text = (await ask(port, "/metrics")).body.toString();
      return /^trtpipe_queue_rows\{model="slow",version="1"\} (\d+)$/m.exec(text)?.[1];
    };
    const stream = connect(grpcPort).ModelStreamInfer() as unknown as GrpcJs.ClientDuplexStream<
      Message,
      Message
    >;
    const answers: Message[] = [];
    stream.on("data", (answer: Message) => answers.push(answer));
    const status = new Promise<number>((resolve) => {
      stream.once("error", (error: GrpcJs.ServiceError) => resolve(error.code));
      stream.once("end", () => setTimeout(() => resolve(0), 500));
    });
    for (let i = 0; i < 6; i++) stream.write({ ...message(300), id: String(i) });
    await expect.poll(rows, { interval: 5 }).toBe("6");
    terminate(child);
    expect(await within(status, "the stream's end")).toBe(14);
    expect(answers.map((answer) => (answer.infer_response as Message).id)).toEqual([..."012345"]);
    expect(answers.filter((answer) => answer.error_message)).toEqual([]);
    expect(await within(ended, "the server's end")).toBe(0);
  }, 30_000);
});

// npm runs the command in Node, whatever runs this test.
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

describe.runIf(isNode)("through npm", () => {
  const begin = (args: readonly string[]) => {
    const options = ["models.toml", "--port", "0", "--grpc-port", "off", "--json"];
    const child = spawn(args[0], [...args.slice(1), ...options], {
      cwd: folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return watch(child);
  };

  const commands: [string, string[]][] = [
    ["npx", ["npx", "trtpipe", "serve"]],
    ["npm run", ["npm", "run", "serve", "--"]],
    ["npm run, with exec", ["npm", "run", "serve-exec", "--"]],
  ];
  it.each(commands)("signals reach the server: %s", { timeout: 60_000 }, async (_, args) => {
    // SIGTERM to npm alone, and Ctrl-C, which a terminal sends to npm and to the server at once.
    for (const [signal, group] of [
      ["SIGTERM", 1],
      ["SIGINT", -1],
    ] as const) {
      const begun = begin(args);
      const { port } = await portsOf(begun);
      const slow = ask(port, PATH, { body: jsonOf(600) });
      await sleep(150);
      process.kill(group * begun.child.pid!, signal);
      expect((await slow).status).toBe(200);
      // When the last that could print has ended: npm, or the server.
      await within(begun.ended, "the server's end");
      await expect(ask(port, "/v2")).rejects.toThrow(/ECONNREFUSED/);
    }
  });
});
