/**
 * The errors that users see. Each has a closed string `code`, so that it can be told apart across copies of
 * the package and across threads; every field is plain data that survives structured cloning.
 */

export type ErrorCode =
  | "TP_CONFIG"
  | "TP_MODEL"
  | "TP_INPUT"
  | "TP_QUEUE_FULL"
  | "TP_TIMEOUT"
  | "TP_EXEC"
  | "TP_INSTANCE"
  | "TP_DEVICE"
  | "TP_CLOSED"
  | "TP_BUG";

const brand = Symbol.for("trtpipe.error");

/**
 * Base of all errors that trtpipe makes. `instanceof` compares codes, so it also holds between two copies of
 * trtpipe.
 */
export class TrtPipeError extends Error {
  /** What kind of failure this is; stable across versions. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Code that all instances of a class carry; undefined for the base class, which holds any. */
  static readonly code: ErrorCode | undefined = undefined;

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== "object" || value === null || !(brand in value)) return false;
    return this.code === undefined || (value as { code?: unknown }).code === this.code;
  }
}

/**
 * The configuration is wrong. `field` names the key, `value` what came (as text), `expected` what would be
 * right.
 */
export class ConfigError extends TrtPipeError {
  static override readonly code = "TP_CONFIG";
  readonly field: string;
  readonly value: string;
  readonly expected: string;

  constructor(field: string, value: unknown, expected: string, options?: ErrorOptions & { hint?: string }) {
    const shown = show(value);
    const hint = options?.hint ? ` (${options.hint})` : "";
    super(ConfigError.code, `Cannot use ${field}: expected ${expected}, got ${shown}${hint}`, options);
    this.field = field;
    this.value = shown;
    this.expected = expected;
  }
}

/** Where the loading of a model stopped. */
export type LoadStage = "library" | "open" | "parse" | "build" | "cache" | "warm-up";

/**
 * The model could not be loaded. `stage` says where it stopped, the engine's own text is in `cause` where
 * there is one.
 */
export class ModelLoadError extends TrtPipeError {
  static override readonly code = "TP_MODEL";
  readonly path: string;
  readonly stage: LoadStage;

  constructor(path: string, stage: LoadStage, message: string, options?: ErrorOptions) {
    super(ModelLoadError.code, message, options);
    this.path = path;
    this.stage = stage;
  }
}

/** A request's data does not fit the model. Thrown (as a rejection) before the request takes a slot. */
export class InputError extends TrtPipeError {
  static override readonly code = "TP_INPUT";
  readonly input: string;
  readonly expected: string;
  readonly got: string;

  constructor(input: string, expected: string, got: string, options?: ErrorOptions) {
    super(InputError.code, `Cannot accept input "${input}": expected ${expected}, got ${got}`, options);
    this.input = input;
    this.expected = expected;
    this.got = got;
  }
}

/** More than `max_queue` rows of this caller would be in flight. Nothing was queued; try again later. */
export class QueueFullError extends TrtPipeError {
  static override readonly code = "TP_QUEUE_FULL";
  readonly rows: number;
  readonly free: number;
  readonly maxQueue: number;

  constructor(rows: number, free: number, maxQueue: number) {
    const what = `${rows} ${rows === 1 ? "row" : "rows"}`;
    super(
      QueueFullError.code,
      `Cannot queue ${what}: ${free} of max_queue ${maxQueue} are free for this caller`,
    );
    this.rows = rows;
    this.free = free;
    this.maxQueue = maxQueue;
  }
}

/** The request's deadline passed. */
export class TimeoutError extends TrtPipeError {
  static override readonly code = "TP_TIMEOUT";
  readonly timeoutMs: number;
  readonly waitedMs: number;

  constructor(timeoutMs: number, waitedMs: number) {
    super(
      TimeoutError.code,
      `Cannot finish within the timeout of ${timeoutMs} ms: ${waitedMs.toFixed(1)} ms passed`,
    );
    this.timeoutMs = timeoutMs;
    this.waitedMs = waitedMs;
  }
}

/** The engine failed this request. */
export class ExecutionError extends TrtPipeError {
  static override readonly code = "TP_EXEC";
  constructor(message: string, options?: ErrorOptions) {
    super(ExecutionError.code, message, options);
  }
}

/**
 * The instance that ran this request is gone. `maybeExecuted` says whether the model may have seen the
 * request.
 */
export class InstanceLostError extends TrtPipeError {
  static override readonly code = "TP_INSTANCE";
  readonly maybeExecuted: boolean;
  constructor(message: string, maybeExecuted: boolean, options?: ErrorOptions) {
    super(InstanceLostError.code, message, options);
    this.maybeExecuted = maybeExecuted;
  }
}

/** The device is lost; every instance on it is unusable. */
export class DeviceLostError extends TrtPipeError {
  static override readonly code = "TP_DEVICE";
  readonly maybeExecuted = true;
  constructor(message: string, options?: ErrorOptions) {
    super(DeviceLostError.code, message, options);
  }
}

/** The pipe was closed, or the thread that owns it ended. */
export class PipeClosedError extends TrtPipeError {
  static override readonly code = "TP_CLOSED";
  constructor(message = "Cannot use a closed pipe") {
    super(PipeClosedError.code, message);
  }
}

/** A fault of trtpipe itself. The pipe is failed as a whole rather than going on with broken bookkeeping. */
export class InvariantError extends TrtPipeError {
  static override readonly code = "TP_BUG";
  constructor(message: string, options?: ErrorOptions) {
    super(InvariantError.code, `Internal invariant broken: ${message}`, options);
  }
}

/** An error as plain data, for the way between threads. */
export interface PlainError {
  code: ErrorCode | undefined;
  name: string;
  message: string;
  fields: Record<string, unknown>;
  cause: PlainError | undefined;
}

const classes = {
  TP_CONFIG: ConfigError,
  TP_MODEL: ModelLoadError,
  TP_INPUT: InputError,
  TP_QUEUE_FULL: QueueFullError,
  TP_TIMEOUT: TimeoutError,
  TP_EXEC: ExecutionError,
  TP_INSTANCE: InstanceLostError,
  TP_DEVICE: DeviceLostError,
  TP_CLOSED: PipeClosedError,
  TP_BUG: InvariantError,
} as const;

export function toPlainError(error: unknown): PlainError {
  if (!(error instanceof Error)) {
    return { code: undefined, name: "Error", message: String(error), fields: {}, cause: undefined };
  }
  const code = error instanceof TrtPipeError ? error.code : undefined;
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error)) {
    if (["string", "number", "boolean"].includes(typeof value)) fields[key] = value;
  }
  const cause = error.cause === undefined ? undefined : toPlainError(error.cause);
  return { code, name: error.name, message: error.message, fields, cause };
}

/** Builds the error's class anew on this thread; the stack is this thread's. */
export function fromPlainError(plain: PlainError): Error {
  const options = plain.cause ? { cause: fromPlainError(plain.cause) } : undefined;
  if (plain.code === undefined) {
    const error = new Error(plain.message, options);
    error.name = plain.name;
    return error;
  }
  const error = new TrtPipeError(plain.code, plain.message, options);
  Object.setPrototypeOf(error, classes[plain.code].prototype as object);
  return Object.assign(error, plain.fields, { name: plain.name });
}

/** A value as an error message shows it: strings quoted, long ones cut, objects by their kind. */
export function show(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value))
    return `${viewName(value)} of ${(value as Uint8Array).length ?? value.byteLength}`;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== "Object" ? `an instance of ${name}` : "an object";
}

function viewName(view: ArrayBufferView): string {
  return Object.prototype.toString.call(view).slice(8, -1);
}
