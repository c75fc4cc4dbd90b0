/**
 * When a caller no longer wants an answer: deadlines and AbortSignals of requests in flight. One timer for
 * the nearest deadline, and one listener for each signal, however many requests share it. Belongs to the
 * calling thread.
 */

import { clearTimeout, setTimeout } from "node:timers";
import { TimeoutError } from "../errors.ts";
import type { Wishes } from "./call-options.ts";
import type { Request } from "./requests.ts";

/** What a request is watched for. */
export interface Watched {
  signal: AbortSignal | null;
  timeoutMs: number;
  enteredMs: number;
  /** In ms of the common clock; 0: none. */
  deadlineMs: number;
}

interface Followed {
  requests: Set<Request>;
  onAbort: () => void;
}

export class GiveUps {
  readonly #nowMs: () => number;
  readonly #giveUp: (request: Request, error: unknown) => void;
  readonly #timed = new Set<Request>();
  readonly #signals = new Map<AbortSignal, Followed>();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;

  constructor(nowMs: () => number, giveUp: (request: Request, error: unknown) => void) {
    this.#nowMs = nowMs;
    this.#giveUp = giveUp;
  }

  /** From here on the request is given up when its signal or its deadline says so, until `release`. */
  watch(request: Request, wishes: Wishes, enteredMs: number): void {
    const { signal, timeoutMs } = wishes;
    if (signal === null && timeoutMs === 0) return;
    const deadlineMs = timeoutMs === 0 ? 0 : enteredMs + timeoutMs;
    request.watched = { signal, timeoutMs, enteredMs, deadlineMs };
    if (deadlineMs !== 0) {
      this.#timed.add(request);
      this.#arm(deadlineMs);
    }
    if (signal !== null) this.#follow(signal, request);
  }

  /** The request is settled. */
  release(request: Request): void {
    const { watched } = request;
    if (watched === null) return;
    request.watched = null;
    this.#timed.delete(request);
    if (this.#timed.size === 0) this.#disarm();
    const followed = watched.signal === null ? undefined : this.#signals.get(watched.signal);
    if (followed === undefined) return;
    followed.requests.delete(request);
    if (followed.requests.size > 0) return;
    watched.signal!.removeEventListener("abort", followed.onAbort);
    this.#signals.delete(watched.signal!);
  }

  /** The nearest deadline; Infinity if there is none. */
  get nearestMs(): number {
    let nearestMs = Infinity;
    for (const { watched } of this.#timed) nearestMs = Math.min(nearestMs, watched!.deadlineMs);
    return nearestMs;
  }

  /** Gives up all requests whose deadline passed. */
  readonly expire = (): void => {
    this.#disarm();
    const nowMs = this.#nowMs();
    for (const request of this.#timed) {
      if (request.watched!.deadlineMs <= nowMs) this.#giveUp(request, timeoutOf(request, nowMs));
    }
    if (this.#timed.size > 0) this.#arm(this.nearestMs);
  };

  #follow(signal: AbortSignal, request: Request): void {
    let followed = this.#signals.get(signal);
    if (followed === undefined) {
      const requests = new Set<Request>();
      const onAbort = (): void => {
        for (const one of requests) this.#giveUp(one, signal.reason);
      };
      followed = { requests, onAbort };
      this.#signals.set(signal, followed);
      signal.addEventListener("abort", onAbort, { once: true });
    }
    followed.requests.add(request);
    // Aborted while the request was being read, by a getter of the caller's.
    if (signal.aborted) this.#giveUp(request, signal.reason);
  }

  #arm(deadlineMs: number): void {
    if (deadlineMs >= this.#timerAtMs) return;
    this.#disarm();
    this.#timerAtMs = deadlineMs;
    this.#timer = setTimeout(this.expire, Math.max(0, Math.ceil(deadlineMs - this.#nowMs())));
    // What keeps the process is the request, not its deadline.
    this.#timer.unref();
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = Infinity;
  }
}

/** The error of a request whose deadline passed. */
export function timeoutOf({ watched }: Request, nowMs: number): TimeoutError {
  const { timeoutMs, enteredMs } = watched!;
  return new TimeoutError(timeoutMs, nowMs - enteredMs);
}
