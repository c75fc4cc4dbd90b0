/** Which backend an expression means. */

import { ConfigError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { expressionError, formatExpression, parseExpression } from "./expression.ts";
import type { Expression } from "./expression.ts";

export type BackendName = "Identity" | "Fault" | "OnnxTensor" | "TensorrtTensor";

export interface ResolvedBackend {
  name: BackendName;
  /** Arguments in front of the name; each is one that the backend knows. */
  args: Readonly<Record<string, string>>;
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
const WRAPPER = "SyncTensor";

/** What error texts offer. Fault is for tests only, and most builds do not have it. */
const offered = [...Object.keys(backends).filter((name) => name !== "Fault"), WRAPPER];

/** Reads `text` and finds its backend. Throws ConfigError for `field`. */
export function resolveBackend(text: string, field = "backend"): ResolvedBackend {
  const root = parseExpression(text, field);
  const fail = (node: Expression, expected: string): never => {
    throw expressionError(field, text, node.position, expected);
  };
  let node = root;
  while (node.name === WRAPPER) {
    if (Object.keys(node.args).length > 0) fail(node, `no arguments in front of ${WRAPPER}`);
    if (node.children.length !== 1) fail(node, `one backend in the brackets of ${WRAPPER}`);
    node = node.children[0];
  }
  if (!isBackend(node.name)) throw unknownBackend(field, node.name);
  if (node.children.length > 0) fail(node.children[0], `nothing in the brackets of ${node.name}`);
  const known = backends[node.name];
  for (const key of Object.keys(node.args)) {
    if (!known.includes(key)) fail(node, unknownArgument(node.name, key, known));
  }
  return { name: node.name, args: node.args, expression: formatExpression(root) };
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
