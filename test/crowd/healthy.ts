/** Honest clients that ask all the time, and how long each answer took. */

import { Agent, request } from "node:http";

export interface Healthy {
  /** ms of each answer, the shortest first. */
  tookMs: number[];
  /** What went wrong, if anything. */
  failures: string[];
}

const CLIENTS = 8;
const PAUSE_MS = 20;
/** A request that is not answered by then has failed. */
const LIMIT_MS = 10_000;

/** `CLIENTS` connections that ask one thing after another, for `seconds`. */
export async function askHonestly(port: number, path: string, seconds: number): Promise<Healthy> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const healthy: Healthy = { tookMs: [], failures: [] };
  const endMs = performance.now() + seconds * 1000;
  const client = async (id: number): Promise<void> => {
    for (let n = 0; performance.now() < endMs; n++) {
      const data = [id, n, 0.5, -1];
      const startMs = performance.now();
      const wrong = await once(agent, port, path, data).catch((error: unknown) => String(error));
      healthy.tookMs.push(performance.now() - startMs);
      if (wrong !== "") healthy.failures.push(wrong);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, id) => client(id)));
  agent.destroy();
  healthy.tookMs.sort((a, b) => a - b);
  return healthy;
}

/** Empty if the model's echo came back. */
function once(agent: Agent, port: number, path: string, data: readonly number[]): Promise<string> {
  const body = JSON.stringify({ inputs: [{ name: "input", datatype: "FP32", shape: [1, 4], data }] });
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": String(body.length) };
    const asked = request({ host: "127.0.0.1", port, path, method: "POST", agent, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const right = answer.statusCode === 200 && text.includes(`"data":${JSON.stringify(data)}`);
        resolve(right ? "" : `${answer.statusCode} ${text.slice(0, 200)}`);
      });
    });
    asked.on("error", reject);
    asked.setTimeout(LIMIT_MS, () => asked.destroy(new Error(`no answer within ${LIMIT_MS} ms`)));
    asked.end(body);
  });
}
