/** How much memory the slots of one caller take. */

import { ConfigError } from "../errors.ts";
import { SLOT_LIMIT } from "../memory/slot.ts";
import type { ParsedConfig } from "./config.ts";
import { showRows } from "./shape.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Slots when nothing is asked for, if they fit in DEFAULT_BYTES. */
const DEFAULT_SLOTS = 1024;
const DEFAULT_BYTES = GIB;

/** Largest block of shared memory that Node 20, Bun and Deno all make and can look at as a whole. */
export const PAYLOAD_BYTES_MAX: number = 4 * GIB;

/**
 * Room in a slot for each output whose size is only known after a run. What does not fit stays in native
 * memory and is copied from there, so this is a guess at what is worth having: as much as the largest input,
 * 64 KiB at least and 1 MiB at most, but no more than leaves the default number of slots in its bounds.
 * `outputs` has null for open sizes.
 */
export function roomForOpen(inputs: readonly number[], outputs: readonly (number | null)[]): number {
  const open = outputs.filter((bytes) => bytes === null).length;
  const fixed = [...inputs, ...outputs].reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const wanted = Math.min(MIB, Math.max(64 * KIB, ...inputs));
  const left = Math.floor((DEFAULT_BYTES / DEFAULT_SLOTS - fixed) / Math.max(1, open));
  const room = left >= 4 * KIB ? Math.min(wanted, left) : 64 * KIB;
  return Math.floor(room / 64) * 64;
}

/**
 * Slots of one caller: what `max_queue` says, else 1024, or fewer that fit in 1 GiB, but at least one
 * largest batch.
 */
export function queueSlots({ maxQueue, max }: ParsedConfig, slotBytes: number, maxRows: number): number {
  const fitting = slotBytes === 0 ? DEFAULT_SLOTS : Math.floor(DEFAULT_BYTES / slotBytes);
  const slots = maxQueue ?? Math.max(maxRows, Math.min(DEFAULT_SLOTS, fitting));
  if (maxRows > SLOT_LIMIT) {
    throw new ConfigError("max", max?.given, `at most ${SLOT_LIMIT} rows`, {
      hint: `the model has ${maxRows}`,
    });
  }
  if (slots < maxRows) {
    throw new ConfigError("max_queue", slots, `at least the largest batch, which is ${showRows(maxRows)}`);
  }
  const bytes = slots * slotBytes;
  if (bytes <= PAYLOAD_BYTES_MAX) return slots;
  const field = maxQueue === null ? "max" : "max_queue";
  const expected = `rows that take at most ${PAYLOAD_BYTES_MAX} bytes together`;
  const hint = `${slots} rows of ${slotBytes} bytes are ${bytes} bytes`;
  throw new ConfigError(field, maxQueue ?? max?.given, expected, { hint });
}
