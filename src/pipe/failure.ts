/** How a row's outcome, a number and a text, becomes an error on the caller's side. */

import { DeviceLostError, ExecutionError, InstanceLostError, InvariantError } from "../errors.ts";
import { Outcome } from "../memory/slot.ts";
import { TP_ERR_DEVICE, TP_ERR_INTERRUPTED, TP_ERR_LOST } from "../native/abi.ts";

/** The error of a request whose native call was given up. */
export function lostCall(): InstanceLostError {
  const what =
    "The call that ran this request did not come back within run_timeout, nor when it was asked to";
  return new InstanceLostError(what, true);
}

export function failureOf(outcome: number, text: string): Error {
  if (outcome === Outcome.instanceLost) {
    return new InstanceLostError("The instance that ran this request ended before it answered", true);
  }
  if (outcome === Outcome.callLost) return lostCall();
  const status = -outcome;
  if (status === TP_ERR_DEVICE) return new DeviceLostError(`The device was lost: ${text}`);
  if (status === TP_ERR_INTERRUPTED) {
    return new InstanceLostError("The run took longer than run_timeout and was ended", true);
  }
  if (status === TP_ERR_LOST) return new InstanceLostError(`The batch was lost: ${text}`, true);
  if (outcome > 31) return new InvariantError(`a row has the unknown outcome ${outcome}`);
  return new ExecutionError(`Cannot run the model: ${text}`);
}
