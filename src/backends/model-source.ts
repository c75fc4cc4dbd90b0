/** The model as an engine is given it: as the user has it, or with a changed graph. */

import { checkModelBytes, checkModelFile } from "../onnx/check.ts";
import type { CheckedModel } from "../onnx/check.ts";
import { addImageInput } from "../onnx/image-input.ts";
import { closeGraph, openGraph } from "../onnx/prepare.ts";
import { convertPrecision } from "../onnx/precision.ts";
import type { Conversion } from "../onnx/precision.ts";
import type { LoadMessage } from "../protocol.ts";
import { isEngineFile } from "./resolve.ts";

export class ModelSource {
  readonly #message: LoadMessage;
  /** null: there is no ONNX model, and so no graph. */
  readonly #checked: CheckedModel | null;

  /** Checks the model. Throws ModelLoadError. */
  constructor(message: LoadMessage) {
    this.#message = message;
    this.#checked = checked(message);
  }

  /** Whether it may compute in 16 bits as it is. */
  get halves(): boolean {
    return this.#checked === null || this.#checked.info.halfWeights;
  }

  /**
   * The model's bytes; null if the engine is to read the file itself. Throws ModelLoadError or ConfigError
   * where the graph cannot be changed as it was asked for.
   */
  bytes(conversion: Conversion | null): Uint8Array | null {
    const { path, bytes, image } = this.#message;
    if (this.#checked === null || (image === null && conversion === null)) return bytes;
    const model = openGraph(this.#checked, bytes);
    if (conversion !== null) convertPrecision(model, conversion);
    // Last, so that pixels are normalised in float32.
    if (image !== null) addImageInput(model, image);
    return closeGraph(model, path || "bytes");
  }
}

function checked({ path, bytes }: LoadMessage): CheckedModel | null {
  // An engine is TensorRT's to judge.
  if (path !== "") return isEngineFile(path) ? null : checkModelFile(path);
  return bytes === null ? null : checkModelBytes(bytes);
}
