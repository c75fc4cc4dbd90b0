/** The key `model`: a path, a file URL, or the file's bytes. */

import { fileURLToPath } from "node:url";
import { isEngineFile } from "../backends/resolve.ts";
import type { ResolvedBackend } from "../backends/resolve.ts";
import type { ParsedConfig, Snapshot } from "./config.ts";
import { guarded, readText, refuse } from "./config-values.ts";
import { lengthOf, tagOf } from "./views.ts";

const MODEL = "the path of an ONNX file, a file URL, or the file's bytes in a Uint8Array";

/** null where the backend needs none. Throws ConfigError. */
export function readModel(given: Snapshot, backend: ResolvedBackend | null): ParsedConfig["model"] {
  const unused = backend?.name === "Identity" || backend?.name === "Fault";
  if (!given.has("model")) {
    if (unused) return null;
    throw refuse("model", undefined, MODEL);
  }
  const model = checkModel("model", given.get("model"));
  if (backend?.name === "OnnxTensor" && typeof model === "string" && isEngineFile(model)) {
    throw refuse("model", model, "an ONNX model, because OnnxTensor does not run TensorRT's engines");
  }
  return unused ? null : model;
}

/** Whether the model has a graph that can be changed. */
export function isOnnx(model: ParsedConfig["model"]): boolean {
  return model !== null && !(typeof model === "string" && isEngineFile(model));
}

function checkModel(field: string, value: unknown): string | Uint8Array {
  if (tagOf(value) === "Uint8Array") {
    if (lengthOf(value as Uint8Array) > 0) return value as Uint8Array;
    throw refuse(field, value, MODEL, { hint: "it is empty or its buffer is detached" });
  }
  if (isUrl(field, value)) return pathOf(field, value);
  const text = readText(field, value, MODEL);
  if (!/^[A-Za-z][A-Za-z0-9+.-]+:\/\//.test(text)) return text;
  return pathOf(field, text);
}

function pathOf(field: string, url: string | URL): string {
  try {
    return readText(field, fileURLToPath(url), MODEL);
  } catch (cause) {
    throw refuse(field, typeof url === "string" ? url : guarded(field, () => url.href), MODEL, { cause });
  }
}

export function isUrl(field: string, value: unknown): value is URL {
  return guarded(field, () => value instanceof URL);
}
