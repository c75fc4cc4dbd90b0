/** Which backend an expression means. */

import { ConfigError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { expressionError, formatExpression, parseExpression } from "./expression.ts";
import type { Expression } from "./expression.ts";

export type BackendName = "Identity" | "Fault" | "OnnxTensor" | "TensorrtTensor";

/** What `Process[X]` was given. */
export interface ProcessArguments {
  /** Path of the host program. */
  host?: string;
  /** In ms, as it was written. */
  run_timeout?: string;
}

export interface ResolvedBackend {
  /** The backend that runs the model, inside whatever stands around it. */
  name: BackendName;
  /** Arguments in front of the name; each is one that the backend knows. */
  args: Readonly<Record<string, string>>;
  /** Runs in child processes, with these arguments; null: in this one. */
  process: Readonly<ProcessArguments> | null;
  /** The whole expression, without white space. */
  expression: string;
}

const echo = ["dtype", "shape", "output_dtype", "output_shape"];

/** Arguments of each backend. */
const backends: Readonly<Record<BackendName, readonly string[]>> = {
  TensorrtTensor: [],
  OnnxTensor: [],
  Identity: echo,
  Fault: [...echo, "fail_create"],
};

/** Whether a model's path names an engine of TensorRT and not an ONNX model. */
export function isEngineFile(path: string): boolean {
  return /\.(trt|engine|plan)$/.test(path);
}

/**
 * TorchPipe's wrapper that waits for the device; every call here does, so it is accepted around any backend.
 */
const SYNC = "SyncTensor";
/** Runs the backend in its brackets in a child process for each instance. */
const PROCESS = "Process";

/** Arguments of what stands around a backend. */
const wrappers: Readonly<Record<string, readonly string[]>> = {
  [SYNC]: [],
  [PROCESS]: ["host", "run_timeout"],
};

/** What error texts offer. Fault is for tests only, and most builds do not have it. */
const offered = [...Object.keys(backends).filter((name) => name !== "Fault"), SYNC, PROCESS];

/** Reads `text` and finds its backend. Throws ConfigError for `field`. */
export function resolveBackend(text: string, field = "backend"): ResolvedBackend {
  const root = parseExpression(text, field);
  const fail = (node: Expression, expected: string): never => {
    throw expressionError(field, text, node.position, expected);
  };
  const checkArguments = (node: Expression, known: readonly string[]): void => {
    const wrong = Object.keys(node.args).find((key) => !known.includes(key));
    if (wrong !== undefined) fail(node, unknownArgument(node.name, wrong, known));
  };
  let process: ResolvedBackend["process"] = null;
  let node = root;
  for (; Object.hasOwn(wrappers, node.name); [node] = node.children) {
    checkArguments(node, wrappers[node.name]);
    if (node.children.length !== 1) fail(node, `one backend in the brackets of ${node.name}`);
    if (node.name !== PROCESS) continue;
    if (process !== null) fail(node, `${PROCESS} once: one child process runs the backend`);
    process = node.args;
  }
  if (!isBackend(node.name)) throw unknownBackend(field, node.name);
  if (node.children.length > 0) fail(node.children[0], `nothing in the brackets of ${node.name}`);
  checkArguments(node, backends[node.name]);
  return { name: node.name, args: node.args, process, expression: formatExpression(root) };
}

function isBackend(name: string): name is BackendName {
  return Object.hasOwn(backends, name);
}

function unknownBackend(field: string, name: string): ConfigError {
  const near = nearest(name, offered);
  const expected = `a known backend, one of ${offered.join(", ")}`;
  return new ConfigError(
    field,
    name,
    expected,
    near === undefined ? undefined : { hint: `did you mean ${near}?` },
  );
}

function unknownArgument(name: string, key: string, known: readonly string[]): string {
  if (known.length === 0) return `no arguments in front of ${name}, not ${key}`;
  const near = nearest(key, known);
  const question = near === undefined ? "" : ` (did you mean ${near}?)`;
  return `arguments of ${name} that it knows, ${known.join(", ")}, not ${key}${question}`;
}
