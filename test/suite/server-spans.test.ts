/** Spans of OpenTelemetry: made where a program has set it up, as children of what the headers name. */

import { createRequire } from "node:module";
import { afterAll, expect, it } from "vitest";
import { ask, jsonInput, starter } from "../support/server.ts";

interface Recorded {
  name: string;
  parent: unknown;
  attributes: Record<string, unknown>;
  status: unknown;
  ended: boolean;
}

const api = createRequire(import.meta.url)("@opentelemetry/api") as typeof import("@opentelemetry/api");
const key = api.createContextKey("test parent");
const spans: Recorded[] = [];
const start = starter(afterAll);

afterAll(() => {
  api.trace.disable();
  api.propagation.disable();
});

/** What an SDK registers, as far as the server calls it. */
function setUp(): void {
  const startSpan = (name: string, options: { attributes: Record<string, unknown> }, context: Context) => {
    const span: Recorded = {
      name,
      parent: context.getValue(key),
      attributes: options.attributes,
      status: undefined,
      ended: false,
    };
    spans.push(span);
    return {
      setStatus: (status: unknown) => (span.status = status),
      recordException: () => {},
      end: () => (span.ended = true),
    };
  };
  api.trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) } as never);
  api.propagation.setGlobalPropagator({
    inject: () => {},
    fields: () => ["traceparent"],
    extract: (context, carrier, getter) => context.setValue(key, getter.get(carrier, "traceparent")),
  });
}

interface Context {
  getValue(name: symbol): unknown;
}

it("are made for each inference, with its outcome", async () => {
  setUp();
  const { port } = await start({ echo: { backend: "(shape=4)Identity" } });
  const infer = (data: number[]) => {
    const body = JSON.stringify({ id: "7", inputs: [jsonInput("input", "FP32", [1, data.length], data)] });
    return ask(port, "/v2/models/echo/infer", { body, headers: { traceparent: "00-abc-def-01" } });
  };
  expect((await infer([1, 2, 3, 4])).status).toBe(200);
  expect((await infer([1])).status).toBe(400);
  const attributes = {
    "network.protocol.name": "http",
    "trtpipe.model.name": "echo",
    "trtpipe.model.version": "1",
    "trtpipe.request.id": "7",
  };
  const common = { name: "infer echo", parent: "00-abc-def-01", attributes, ended: true };
  expect(spans).toEqual([
    { ...common, status: undefined },
    { ...common, status: { code: api.SpanStatusCode.ERROR, message: expect.stringContaining("shape") } },
  ]);
});
