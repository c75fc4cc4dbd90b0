/** Servers, a load balancer in front of them, and clients that check every answer. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, root } from "../run.mjs";

const READY_LIMIT_MS = 60_000;
const BYTES = 2048;

export async function freePorts(count) {
  const holders = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(holders.map((holder) => once(holder, "listening")));
  const ports = holders.map((holder) => holder.address().port);
  holders.forEach((holder) => holder.close());
  return ports;
}

export class Server {
  #model;
  #port;
  #child;

  constructor(model, port) {
    this.#model = model;
    this.#port = port;
  }

  /** Resolves when it is ready. */
  async start() {
    const where = ["--port", String(this.#port), "--grpc-port", "off"];
    const args = ["serve", this.#model, ...where, "--max", "4", "--log-level", "warn"];
    this.#child = spawn(process.execPath, [join(root, "dist", "cli.js"), ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const endMs = Date.now() + READY_LIMIT_MS;
    while (Date.now() < endMs) {
      if (this.#child.exitCode !== null) throw new Failure(`the server ended: ${this.#child.exitCode}`);
      const { status } = await ask(this.#port, "GET", "/v2/health/ready").catch(() => ({ status: 0 }));
      if (status === 200) return;
      await sleep(50);
    }
    throw new Failure(`the server at port ${this.#port} is not ready after ${READY_LIMIT_MS} ms`);
  }

  /** Asks it to end; resolves with its exit code and how long that took. */
  async stop() {
    return this.#end("SIGTERM");
  }

  async kill() {
    await this.#end("SIGKILL");
  }

  async #end(signal) {
    const child = this.#child;
    const fromMs = Date.now();
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, "exit");
    }
    return { code: child?.exitCode, seconds: (Date.now() - fromMs) / 1000 };
  }
}

/** Starts HAProxy with deploy/haproxy/haproxy.cfg; resolves with a function that ends it. */
export async function startBalancer(address, [one, two, three]) {
  const at = (port) => `127.0.0.1:${port}`;
  const env = {
    ...process.env,
    TRTPIPE_BIND: at(address),
    TRTPIPE_ONE: at(one),
    TRTPIPE_TWO: at(two),
    TRTPIPE_THREE: at(three),
  };
  const config = join(root, "deploy", "haproxy", "haproxy.cfg");
  const child = spawn("haproxy", ["-db", "-f", config], { env, stdio: ["ignore", "ignore", "ignore"] });
  const endMs = Date.now() + READY_LIMIT_MS;
  for (;;) {
    const { status } = await ask(address, "GET", "/v2/health/ready").catch(() => ({ status: 0 }));
    if (status === 200) break;
    if (child.exitCode !== null || Date.now() > endMs) throw new Failure("HAProxy did not start");
    await sleep(50);
  }
  return async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };
}

/** Each client has its own bytes to ask about, learns the right answer at the start, and compares. */
export class Clients {
  #port;
  #count;
  #stopped = false;
  #all = [];
  #answered = 0;
  #failures = [];

  constructor(port, count) {
    this.#port = port;
    this.#count = count;
  }

  async begin() {
    for (let id = 0; id < this.#count; id++) {
      const expected = await this.#send(id);
      this.#all.push(this.#run(id, expected));
    }
  }

  async end() {
    this.#stopped = true;
    await Promise.all(this.#all);
  }

  /** What is wrong with the time since the last report; empty if nothing is. */
  report({ answered, failed }) {
    const [got, failures] = [this.#answered, this.#failures];
    [this.#answered, this.#failures] = [0, []];
    if (failures.length > failed) return `${failures.length} of ${got} failed: ${failures[0]}`;
    return got < answered ? `only ${got} were answered` : "";
  }

  async #run(id, expected) {
    while (!this.#stopped) {
      try {
        const answer = await this.#send(id);
        if (isNear(answer, expected)) this.#answered += 1;
        else this.#failures.push("wrong answer");
      } catch (error) {
        this.#failures.push(error.message);
        await sleep(10);
      }
    }
  }

  async #send(id) {
    const bytes = Int32Array.from({ length: BYTES }, (_, i) => (i * 31 + id * 17) % 256);
    const tensor = Buffer.from(bytes.buffer);
    const inputs = [
      {
        name: "bytes",
        datatype: "INT32",
        shape: [1, BYTES],
        parameters: { binary_data_size: tensor.length },
      },
    ];
    const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
    const headers = { "inference-header-content-length": String(head.length) };
    const path = "/v2/models/magika/infer";
    const { status, body, headers: got } = await ask(this.#port, "POST", path, headers, [head, tensor]);
    if (status !== 200) throw new Error(`HTTP ${status}: ${body.toString().slice(0, 200)}`);
    const outputs = body.subarray(Number(got["inference-header-content-length"]));
    return Array.from({ length: outputs.length / 4 }, (_, i) => outputs.readFloatLE(4 * i));
  }
}

/** Sums are added up in another order in a batch of another size. */
function isNear(answer, expected) {
  return (
    answer.length === expected.length && answer.every((value, i) => Math.abs(value - expected[i]) < 1e-4)
  );
}

const agent = new Agent({ keepAlive: true });

function ask(port, method, path, headers = {}, chunks = []) {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const options = { host: "127.0.0.1", port, method, path, agent };
  options.headers = { ...headers, "content-length": String(length) };
  return new Promise((resolve, reject) => {
    const asked = request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    asked.on("error", reject);
    for (const chunk of chunks) asked.write(chunk);
    asked.end();
  });
}
