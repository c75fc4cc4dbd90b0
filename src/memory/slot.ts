/**
 * The slot word: one 32-bit word says everything about who owns a row.
 *
 *   bits  0-2   phase
 *   bits  3-9   owner: the instance that took the row (phases Taken and Lost), else 0
 *   bits 10-15  outcome (phase Done), else 0
 *   bits 16-31  generation: grows each time the slot is used again
 *
 * Every change of hands is one compare-exchange of the whole word:
 *
 *   Free -> Queued       the caller, when the row's bytes are in place
 *   Queued -> Taken(i)   the leader, for its own batch
 *   Queued -> Free       the caller gives the row up before anybody took it
 *   Queued -> Done       the leader, when the row's deadline passed
 *   Taken(i) -> Done     instance i, or the supervisor in the name of an instance that died
 *   Taken(i) -> Lost(i)  the supervisor, when the call that runs the row does not come back
 *   Lost(i) -> Done      the thread that was given up with that call, when it came back at last
 *   Done -> Free         the caller, when it has read the outcome
 *
 * The caller of a lost row is told at once, but the slot is nobody's to use: the call may still write to it.
 */

export const Phase = { free: 0, queued: 1, taken: 2, done: 3, lost: 4 } as const;

/** Outcomes of a row: 0 is success, 1..31 the C library's status negated, 32 and above our own. */
export const Outcome = { ok: 0, instanceLost: 32, timedOut: 33, callLost: 34 } as const;

export const SLOT_LIMIT = 65_536;
export const GENERATION_MASK = 0xffff;

export function slotWord(phase: number, owner: number, outcome: number, generation: number): number {
  return phase | (owner << 3) | (outcome << 10) | (generation << 16);
}

export function phaseOf(word: number): number {
  return word & 7;
}

export function ownerOf(word: number): number {
  return (word >>> 3) & 127;
}

export function outcomeOf(word: number): number {
  return (word >>> 10) & 63;
}

export function generationOf(word: number): number {
  return word >>> 16;
}

/** Whether an instance has the row, in a call that goes on or that was given up. */
export function isWith(word: number, owner: number, generation: number): boolean {
  return (
    word === slotWord(Phase.taken, owner, 0, generation) ||
    word === slotWord(Phase.lost, owner, 0, generation)
  );
}
