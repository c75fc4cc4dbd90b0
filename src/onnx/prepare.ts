/** Opens a model to change its graph, and gives the changed model as bytes, which every engine takes. */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";

import { ModelLoadError } from "../errors.ts";
import { modelMaxBytes } from "./check.ts";
import type { CheckedModel } from "./check.ts";
import type { Model } from "./graph.ts";
import { readModel } from "./graph.ts";
import { writeModel } from "./graph-write.ts";
import { inlineExternalData } from "./weights.ts";

/**
 * Takes a checked model apart; `bytes` are its bytes if it has no path. All of it comes into memory, weights
 * in other files too. Throws ModelLoadError where it is then too large for one ONNX file.
 */
export function openGraph(checked: CheckedModel, bytes: Uint8Array | null): Model {
  const { externalData } = checked.info;
  const name = checked.path || "bytes";
  const total = externalData.reduce((sum, tensor) => sum + (tensor.bytes ?? 0), checked.bytes);
  if (total > modelMaxBytes) {
    const why = `with its external data it has ${total} bytes, and an ONNX file ends at ${modelMaxBytes}`;
    throw new ModelLoadError(name, "open", `Cannot change the graph of model "${name}": ${why}`);
  }
  const model = readModel(bytes ?? readFileSync(checked.path));
  if (externalData.length === 0) return model;
  const read = inlineExternalData(model.graph, dirname(checked.path));
  if (read === externalData.length) return model;
  const why = "it keeps constants of its nodes in other files, and only weights may lie there";
  throw new ModelLoadError(name, "parse", `Cannot change the graph of model "${name}": ${why}`);
}

/** The model as bytes. Throws ModelLoadError if they are too many. */
export function closeGraph(model: Model, name: string): Uint8Array<ArrayBuffer> {
  const bytes = writeModel(model);
  if (bytes.byteLength <= modelMaxBytes) return bytes;
  const why = `it has ${bytes.byteLength} bytes then, and an ONNX file ends at ${modelMaxBytes}`;
  throw new ModelLoadError(name, "open", `Cannot change the graph of model "${name}": ${why}`);
}
