/** The status page and its numbers, as a server sends them. `npm run test:page` has a browser show them. */

import { createHash } from "node:crypto";
import { Script } from "node:vm";
import { afterAll, expect, it } from "vitest";
import type { ServerStatus, Serving } from "../../src/server/status.ts";
import { affineModel } from "../support/models.ts";
import { ask, jsonInput, starter } from "../support/server.ts";

const start = starter(afterAll);

/** What HTML, JSON and URLs all have to be careful with. */
const WILD = `</script><img src=x onerror="alert('1')">&amp;\u202e\n%41`;

const between = (text: string, tag: string): string => {
  const [, inner] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(text) ?? [];
  return inner ?? "";
};
const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

it("is one document that its policy lets run, and nothing else", async () => {
  const { port } = await start({ [WILD]: { model: affineModel() } });
  const { status, headers, body } = await ask(port, "/");
  const html = body.toString();
  expect(status).toBe(200);
  expect(headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(headers["x-content-type-options"]).toBe("nosniff");
  const policy = headers["content-security-policy"] as string;
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain(`script-src ${hash(between(html, "script"))}`);
  expect(policy).toContain(`style-src ${hash(between(html, "style"))}`);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain("unsafe");
  // The script is text in the server's sources: that it is JavaScript is checked nowhere else.
  expect(() => new Script(between(html, "script"))).not.toThrow();
  const addresses = [...html.matchAll(/https?:\/\/[^"']+/g)].map(([address]) => address);
  expect(new Set(addresses)).toEqual(new Set(["http://www.w3.org/2000/svg"]));
  expect(html).not.toContain("onerror");
  const packed = await ask(port, "/", { headers: { "accept-encoding": "gzip" } });
  expect(packed).toMatchObject({ status: 200, headers: { "content-encoding": "gzip" } });
  expect(packed.body.length).toBeLessThan(8000);
  const posted = await ask(port, "/", { method: "POST" });
  expect(posted).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  expect((await ask(port, "/?from=there")).status).toBe(200);
});

it("has its numbers in JSON, with names as they are", async () => {
  const { port } = await start(
    {},
    {
      sources: () => [
        { name: WILD, version: "3", config: { model: affineModel(), max: 4, instance_num: 2 } },
      ],
    },
  );
  const look = async (): Promise<ServerStatus> => {
    const { headers, json } = await ask(port, "/status.json");
    expect(headers).toMatchObject({ "content-type": "application/json", "cache-control": "no-store" });
    return json as ServerStatus;
  };
  const before = await look();
  expect(before).toMatchObject({ name: "trtpipe", version: "0.0.0", ready: true, http_connections: 1 });
  expect(before.models).toEqual([
    { name: WILD, version: "3", state: "READY", reason: "", serving: expect.any(Object) },
  ]);
  expect(sums(before)).toEqual({ answered: 0, unanswered: 0, timed: 0, rows: 0, batched: 0, batches: 0 });
  expect(before.models[0].serving).toMatchObject({
    backend: "OnnxTensor", max: 4, in_flight: 0, queue_rows: 0,
  }); // prettier-ignore
  expect(before.models[0].serving?.instances.length).toBe(2);

  const path = `/v2/models/${encodeURIComponent(WILD)}/infer`;
  const send = (rows: number): Promise<{ status: number }> => {
    const input = jsonInput(
      rows === 5 ? "nobody" : "x",
      "FP32",
      [rows, 4],
      Array.from({ length: rows * 4 }, () => 1),
    );
    return ask(port, path, { body: JSON.stringify({ inputs: [input] }) });
  };
  const statuses = await Promise.all([1, 2, 3, 5].map(send));
  expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200, 400]);
  const after = await look();
  expect(sums(after)).toMatchObject({ answered: 3, unanswered: 1, timed: 4, rows: 6, batched: 6 });
  expect(after.models[0].serving?.batches).toBe(sums(after).batches);
  expect(after.models[0].serving?.compute_ms).toBeGreaterThan(0);
  expect(after.models[0].serving?.request_ms).toBeGreaterThan(0);
});

it("tells of a model that cannot be called why", async () => {
  const config = { model: affineModel() };
  const { port } = await start({ a: config }, { mayChange: true });
  await ask(port, "/v2/repository/models/a/unload", { method: "POST" });
  const { json } = await ask(port, "/status.json");
  expect((json as ServerStatus).models).toEqual([
    { name: "a", version: "1", state: "UNAVAILABLE", reason: "unloaded", serving: null },
  ]);
});

/** The first model's counters; `timed` and the batches are added up from what is shown in parts. */
function sums({ models }: ServerStatus): Record<string, number> {
  const { answered, unanswered, rows, latency, batch_sizes: sizes } = models[0].serving as Serving;
  const parts = Object.values(sizes).flat();
  return {
    answered,
    unanswered,
    rows,
    timed: latency.counts.reduce((sum, count) => sum + count, 0),
    batched: parts.reduce((sum, [size, count]) => sum + size * count, 0),
    batches: parts.reduce((sum, [, count]) => sum + count, 0),
  };
}
