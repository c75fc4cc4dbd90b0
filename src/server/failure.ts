/** Every failure of a request as its client sees it: a status of HTTP, one of gRPC, and a text. */

import { ModelLoadError, TrtPipeError } from "../index.ts";
import type { ErrorCode } from "../index.ts";

/** What became of a request, as logs and metrics call it. */
export type Outcome = "ok" | "refused" | "full" | "timeout" | "cancelled" | "failed" | "unavailable";

export interface Failure {
  http: number;
  grpc: number;
  outcome: Exclude<Outcome, "ok">;
  message: string;
  headers: Readonly<Record<string, string>>;
}

/** gRPC's status codes, those that are used here. */
export const Grpc = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

const grpcOfHttp: Readonly<Record<number, number>> = {
  403: Grpc.permissionDenied,
  404: Grpc.notFound,
  405: Grpc.unimplemented,
  408: Grpc.deadlineExceeded,
  413: Grpc.resourceExhausted,
  499: Grpc.cancelled,
  500: Grpc.internal,
  503: Grpc.unavailable,
  504: Grpc.deadlineExceeded,
};

/** A request that is refused by the server itself, before a pipe sees it. */
export class RequestError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.headers = headers;
  }
}

/** The client went away, or cancelled its call. Nobody reads the answer. */
export class ClientGone extends Error {
  constructor() {
    super("The client cancelled the request");
    this.name = "ClientGone";
  }
}

const RETRY: Readonly<Record<string, string>> = { "retry-after": "1" };

const ofCode: Readonly<Record<ErrorCode, Pick<Failure, "http" | "outcome"> & Partial<Failure>>> = {
  TP_CONFIG: { http: 400, outcome: "refused" },
  TP_MODEL: { http: 400, outcome: "failed" },
  TP_INPUT: { http: 400, outcome: "refused" },
  TP_QUEUE_FULL: { http: 503, outcome: "full", headers: RETRY },
  TP_TIMEOUT: { http: 504, outcome: "timeout" },
  TP_EXEC: { http: 500, outcome: "failed" },
  TP_INSTANCE: { http: 503, outcome: "unavailable", headers: RETRY },
  TP_DEVICE: { http: 503, outcome: "unavailable" },
  TP_CLOSED: { http: 503, outcome: "unavailable", headers: RETRY },
  TP_BUG: { http: 500, outcome: "failed" },
};

export function failureOf(error: unknown): Failure {
  if (error instanceof RequestError) {
    const { status, headers, message } = error;
    const outcome = status === 504 ? "timeout" : status >= 500 ? "unavailable" : "refused";
    // Its text is ours and the client's alone: a path in it is that of the request.
    return { ...failure({ http: status, outcome, headers }, ""), message };
  }
  if (error instanceof ClientGone) return failure({ http: 499, outcome: "cancelled" }, error.message);
  if (error instanceof TrtPipeError) return failure(ofCode[error.code], textOf(error));
  // A fault of the server's own, whose text is for the log alone.
  return failure({ http: 500, outcome: "failed" }, "Internal error");
}

function failure(kind: Pick<Failure, "http" | "outcome"> & Partial<Failure>, message: string): Failure {
  const grpc = grpcOfHttp[kind.http] ?? Grpc.invalidArgument;
  return { headers: {}, grpc, ...kind, message: withoutPaths(message) };
}

function textOf(error: TrtPipeError): string {
  if (!(error instanceof ModelLoadError) || !(error.cause instanceof Error)) return error.message;
  const { message } = error.cause;
  return error.message.includes(message) ? error.message : `${error.message}: ${message}`;
}

/** Whoever sends a request has no business with this machine's folders: paths keep their last part. */
export function withoutPaths(text: string): string {
  return text.replaceAll(/(?:file:\/\/)?(?:\/[^\s/:;,'"`()]+)+\/([^\s/:;,'"`()]+)/g, "$1");
}
