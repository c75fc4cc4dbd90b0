/** A server of the Open Inference Protocol (version 2, HTTP) as the load generator sees it. */

import { Agent, request as httpRequest } from "node:http";
import { request as httpsRequest, Agent as HttpsAgent } from "node:https";
import type { Tensor, TensorSpec } from "../../index.ts";
import { dtypeOf } from "../../server/datatypes.ts";
import { UsageError } from "../arguments.ts";
import { randomInputs } from "./random-input.ts";
import type { Counters, RequestPlan, Target } from "./target.ts";

/** The server answered, but not with what was asked for. */
export class ServerError extends Error {
  constructor(status: number, text: string) {
    super(`the server answered ${status}: ${text.slice(0, 300)}`);
    this.name = `HTTP ${status}`;
  }
}

interface Answer {
  status: number;
  body: Buffer;
}

type Ask = (
  method: string,
  path: string,
  headers?: Record<string, string>,
  body?: Buffer[],
) => Promise<Answer>;

/** `model` may be left out if the server has one. Tensors travel as bytes, after a header of JSON. */
export async function httpTarget(url: URL, model: string | undefined, plan: RequestPlan): Promise<Target> {
  const secure = url.protocol === "https:";
  // A connection for each request under way, kept for the next.
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
  const ask = asker(url, secure ? httpsRequest : httpRequest, agent, plan.timeoutMs);
  try {
    const name = model ?? (await onlyModel(ask));
    const path = `/v2/models/${encodeURIComponent(name)}`;
    const specs = specsOf(await json(ask, path));
    const { head, chunks } = bodyOf(specs, plan);
    const headers = {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.length),
      "content-length": String(chunks.reduce((sum, chunk) => sum + chunk.length, head.length)),
    };
    return {
      about: `${name} at ${url.origin}`,
      send: async () => {
        const { status, body } = await ask("POST", `${path}/infer`, headers, [head, ...chunks]);
        if (status !== 200) throw new ServerError(status, body.toString());
      },
      counters: () => counters(ask, path),
      close: async () => agent.destroy(),
    };
  } catch (error) {
    agent.destroy();
    throw error;
  }
}

function asker(url: URL, request: typeof httpRequest, agent: Agent, timeoutMs: number | undefined): Ask {
  return (method, path, headers = {}, body = []) =>
    new Promise<Answer>((resolve, reject) => {
      const target = new URL(path, url);
      const asked = request(target, { method, headers, agent, timeout: timeoutMs }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      });
      asked.on("timeout", () =>
        asked.destroy(Object.assign(new Error("no answer"), { name: "TimeoutError" })),
      );
      asked.on("error", reject);
      for (const part of body) asked.write(part);
      asked.end();
    });
}

async function json(ask: Ask, path: string, method = "GET"): Promise<unknown> {
  const { status, body } = await ask(method, path);
  if (status !== 200) throw new ServerError(status, body.toString());
  return JSON.parse(body.toString()) as unknown;
}

async function onlyModel(ask: Ask): Promise<string> {
  const index = (await json(ask, "/v2/repository/index", "POST")) as { name: string }[];
  if (index.length === 1) return index[0].name;
  const names = index.map(({ name }) => name).join(", ");
  throw new UsageError("--model", `one of ${names}`, "none");
}

interface RemoteSpec extends TensorSpec {
  datatype: string;
}

function specsOf(metadata: unknown): RemoteSpec[] {
  const { inputs } = metadata as { inputs: { name: string; datatype: string; shape: number[] }[] };
  return inputs.map(({ name, datatype, shape }) => {
    return { name, dtype: dtypeOf(datatype, name), shape, datatype };
  });
}

function bodyOf(specs: readonly RemoteSpec[], plan: RequestPlan): { head: Buffer; chunks: Buffer[] } {
  // A model whose first dimension is open takes batches along it.
  const batched = specs.every(({ shape }) => shape !== null && shape[0] === -1);
  const tensors: Record<string, Tensor> = randomInputs(specs, batched, plan);
  const chunks = specs.map(({ name }) => {
    const { buffer, byteOffset, byteLength } = tensors[name].data;
    return Buffer.from(buffer, byteOffset, byteLength);
  });
  const inputs = specs.map(({ name, datatype }, i) => ({
    name,
    datatype,
    shape: tensors[name].shape,
    parameters: { binary_data_size: chunks[i].length },
  }));
  const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  return { head, chunks };
}

/** Triton's statistics, where the server has them. */
async function counters(ask: Ask, path: string): Promise<Counters | undefined> {
  const { status, body } = await ask("GET", `${path}/stats`);
  if (status !== 200) return undefined;
  const stats = JSON.parse(body.toString()) as {
    model_stats?: { inference_count?: number; execution_count?: number }[];
  };
  const [one] = stats.model_stats ?? [];
  if (one?.inference_count === undefined || one.execution_count === undefined) return undefined;
  return { batches: one.execution_count, rows: one.inference_count };
}
