/** The standard health service of gRPC, for orchestrators and balancers: who is ready, now and on change. */

import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import { Grpc } from "./failure.ts";

type Status = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

interface Asked {
  service: string;
}

interface Told {
  status: Status;
}

type Watching = ServerWritableStream<Asked, Told>;

/** Services that are ready when the server is. "" is the server, and Kubernetes' probes say "readiness". */
const READY: ReadonlySet<string> = new Set(["", "inference.GRPCInferenceService", "readiness"]);
/** Whoever answers lives. */
const LIVE = "liveness";

export class Health {
  readonly #isReady: () => boolean;
  /** Open watches, and what each was last told. */
  readonly #watches = new Map<Watching, Status>();
  #ended = false;

  constructor(isReady: () => boolean) {
    this.#isReady = isReady;
  }

  check(call: ServerUnaryCall<Asked, Told>, callback: sendUnaryData<Told>): void {
    const status = this.#statusOf(call.request.service);
    if (status !== "SERVICE_UNKNOWN") return callback(null, { status });
    const details = `Cannot find service ${JSON.stringify(call.request.service.slice(0, 80))}`;
    callback({ code: Grpc.notFound, details });
  }

  watch(call: Watching): void {
    call.on("error", () => {});
    call.once("cancelled", () => this.#watches.delete(call));
    call.once("close", () => this.#watches.delete(call));
    this.#tell(call);
    if (this.#ended) call.end();
  }

  /** Tells everybody who watches, if it is news for them. */
  update(): void {
    for (const call of this.#watches.keys()) this.#tell(call);
  }

  /** Says that nothing is served any more, and ends all watches. */
  end(): void {
    this.#ended = true;
    this.update();
    for (const call of this.#watches.keys()) call.end();
    this.#watches.clear();
  }

  #tell(call: Watching): void {
    const status = this.#statusOf(call.request.service);
    if (this.#watches.get(call) === status) return;
    this.#watches.set(call, status);
    call.write({ status });
  }

  #statusOf(service: string): Status {
    if (service === LIVE) return "SERVING";
    if (!READY.has(service)) return "SERVICE_UNKNOWN";
    return this.#isReady() && !this.#ended ? "SERVING" : "NOT_SERVING";
  }
}
