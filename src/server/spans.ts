/**
 * Spans of OpenTelemetry, where the process has set it up. Its API package is an optional peer: without it,
 * or without an SDK behind it, nothing happens.
 */

import { createRequire } from "node:module";
import type { Context, Span, TextMapGetter } from "@opentelemetry/api";
import type { Caller, ServedModel } from "./served-model.ts";

type Api = typeof import("@opentelemetry/api");

export interface Spans {
  start(model: ServedModel, caller: Caller, id: string | undefined): { end(error: unknown): void };
}

const NOTHING = { end: () => {} };
const NONE: Spans = { start: () => NOTHING };

/** The names are those of OpenTelemetry's conventions, and trtpipe's own where there are none. */
export function findSpans(): Spans {
  let api: Api;
  try {
    api = createRequire(import.meta.url)("@opentelemetry/api") as Api;
  } catch {
    return NONE;
  }
  const tracer = api.trace.getTracer("trtpipe");
  const getter: TextMapGetter<Readonly<Record<string, unknown>>> = {
    keys: (carrier) => Object.keys(carrier),
    get: (carrier, key) => (typeof carrier[key] === "string" ? carrier[key] : undefined),
  };
  const nobody = new api.ProxyTracerProvider().getDelegate();
  return {
    start({ name, version }, caller, id) {
      // An SDK may be set up at any time; until then a span is a lot of work for nothing.
      const provider = api.trace.getTracerProvider();
      if (provider instanceof api.ProxyTracerProvider && provider.getDelegate() === nobody) return NOTHING;
      const { protocol, headers } = caller;
      const parent: Context = api.propagation.extract(api.context.active(), headers, getter);
      const attributes = {
        "network.protocol.name": protocol,
        "trtpipe.model.name": name,
        "trtpipe.model.version": version,
        ...(id === undefined ? {} : { "trtpipe.request.id": id }),
      };
      const span = tracer.startSpan(`infer ${name}`, { kind: api.SpanKind.SERVER, attributes }, parent);
      return { end: (error) => finish(api, span, error) };
    },
  };
}

function finish(api: Api, span: Span, error: unknown): void {
  if (error !== undefined) {
    const told = error instanceof Error ? error : new Error(String(error));
    span.recordException(told);
    span.setStatus({ code: api.SpanStatusCode.ERROR, message: told.message });
  }
  span.end();
}
