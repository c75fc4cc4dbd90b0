/** What keeps a model from being loaded, as users see it. */

import { ModelLoadError, TrtPipeError } from "../errors.ts";
import type { LoadStage } from "../errors.ts";
import type { LoadMessage } from "../protocol.ts";

/**
 * Our own errors as they are; everything else, a thread's end or the library's word, as one about this model.
 */
export function asLoadError(error: unknown, message: LoadMessage, stage: LoadStage, what: string): Error {
  if (error instanceof TrtPipeError) return error;
  const why = error instanceof Error ? error.message : String(error);
  const name = modelName(message);
  return new ModelLoadError(name, stage, `${what} for ${name}: ${why}`, { cause: error });
}

/** What error texts call the model. */
export function modelName({ path, bytes, candidates }: LoadMessage): string {
  return path || (bytes === null ? candidates[0].backend : "bytes");
}
