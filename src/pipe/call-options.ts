/** Reads what a call asks for besides its data: an AbortSignal, a timeout, a priority. */

import { InputError } from "../errors.ts";
import type { CallOptions, Priority } from "./types.ts";
import { showSafely } from "./views.ts";

/** Longest timeout in ms: what a timer can wait. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

const priorities: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 };

/** A call's options, checked. */
export interface Wishes {
  readonly signal: AbortSignal | null;
  /** 0: none. */
  readonly timeoutMs: number;
  /** 0 goes first. */
  readonly priority: number;
}

export const NO_WISHES: Wishes = { signal: null, timeoutMs: 0, priority: priorities.normal };

/**
 * Throws InputError for everything that is wrong, and the signal's reason if it is aborted already. Reads
 * each property once.
 */
export function readCallOptions(options: unknown): Wishes {
  if (typeof options !== "object" || options === null) throw refuse("options", "an object", options);
  const { signal, timeout, priority, unknown } = snapshot(options);
  if (unknown !== undefined) {
    throw new InputError("options", "signal, timeout or priority", `the unknown key "${unknown}"`);
  }
  return { signal: readSignal(signal), timeoutMs: readTimeout(timeout), priority: readPriority(priority) };
}

interface Snapshot {
  signal: unknown;
  timeout: unknown;
  priority: unknown;
  unknown: string | undefined;
}

function snapshot(options: object): Snapshot {
  try {
    const { signal, timeout, priority, ...others } = options as CallOptions & Record<string, unknown>;
    return { signal, timeout, priority, unknown: Object.keys(others)[0] };
  } catch (cause) {
    throw new InputError("options", "properties that can be read", "an error from one of them", { cause });
  }
}

function readSignal(signal: unknown): AbortSignal | null {
  if (signal === undefined) return null;
  if (!(signal instanceof AbortSignal)) throw refuse("options.signal", "an AbortSignal", signal);
  signal.throwIfAborted();
  return signal;
}

function readTimeout(timeout: unknown): number {
  if (timeout === undefined || timeout === Infinity) return 0;
  if (typeof timeout === "number" && timeout > 0 && timeout <= TIMEOUT_MS_MAX) return timeout;
  throw refuse("options.timeout", `a number of ms above 0 and up to ${TIMEOUT_MS_MAX}`, timeout);
}

function readPriority(priority: unknown): number {
  if (priority === undefined) return priorities.normal;
  if (typeof priority === "string" && Object.hasOwn(priorities, priority)) {
    return priorities[priority as Priority];
  }
  throw refuse("options.priority", '"high", "normal" or "low"', priority);
}

function refuse(field: string, expected: string, got: unknown): InputError {
  return new InputError(field, expected, showSafely(got));
}
