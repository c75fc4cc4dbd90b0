/**
 * The work of the models bench: clients that go round the ten inputs, every answer compared with the
 * reference.
 */

import type { Target } from "../lib/closed-loop.ts";
import { INPUTS, isRight } from "./data.ts";
import type { Item, ModelData, ModelName } from "./data.ts";

export interface ModelsSpec {
  contender: string;
  model: ModelName;
  clients: number;
  warmUpMs: number;
  measureMs: number;
  /** The contender's own. */
  settings: Settings;
}

/** Of the contenders that batch by hand: when a batch goes. The rest as their names say. */
export interface Settings {
  max?: number;
  /** Milliseconds after the first request, or "tick": when the event loop's present turn is over. */
  flush?: number | "tick";
  workers?: number;
  intraOpThreads?: number;
  instanceNum?: number;
  batchingTimeoutMs?: number;
}

/** What a contender brings. */
export interface Inference<A> {
  send(item: Item): Promise<A>;
  output(answer: A): Float32Array | undefined;
  counters?(): { batches: number; rows: number };
  close(): Promise<void>;
}

export function checkedTarget<A>(inference: Inference<A>, model: ModelData): Target<A> {
  const target: Target<A> = {
    send: (client, turn) => inference.send(model.inputs[inputOf(client, turn)]),
    check: (client, turn, answer) => isRight(model, inputOf(client, turn), inference.output(answer)),
  };
  if (inference.counters) target.counters = () => inference.counters!();
  return target;
}

/** Neighbours send different inputs, and each client another one every time. */
function inputOf(client: number, turn: number): number {
  return (client + turn) % INPUTS;
}
