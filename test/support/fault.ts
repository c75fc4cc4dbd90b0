/** The library with the Fault backend, which echoes and misbehaves on request: csrc/fault.h. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LIBRARY_FILE } from "../../src/native/locate.ts";
import { root } from "../tidy/sources.ts";

type Opcode =
  | "none"
  | "sleepMs"
  | "hang"
  | "failBatch"
  | "failRow"
  | "swap"
  | "rowCount"
  | "sticky"
  | "deviceLost"
  | "abort"
  | "segv"
  | "exit";

/** A row's element 0; element 1 is its argument. */
export const Fault: Readonly<Record<Opcode, number>> = {
  none: opcode("NONE"),
  sleepMs: opcode("SLEEP_MS"),
  hang: opcode("HANG"),
  failBatch: opcode("FAIL_BATCH"),
  failRow: opcode("FAIL_ROW"),
  swap: opcode("SWAP"),
  rowCount: opcode("ROW_COUNT"),
  sticky: opcode("STICKY"),
  deviceLost: opcode("DEVICE_LOST"),
  abort: opcode("ABORT"),
  segv: opcode("SEGV"),
  exit: opcode("EXIT"),
};

/** Lets this test file's pipes use that library. Call it before the first pipe. */
export function useFaultLibrary(): void {
  const path = join(root, "build", "fault", LIBRARY_FILE);
  if (!existsSync(path)) {
    throw new Error(`There is no ${path}; to build it: cmake --preset fault && cmake --build --preset fault`);
  }
  process.env.TRTPIPE_LIB = path;
}

function opcode(name: string): number {
  const header = readFileSync(join(root, "csrc", "fault.h"), "utf8");
  const number = new RegExp(`^#define TP_FAULT_${name}[\\s\\\\]+(\\d+)`, "m").exec(header)?.[1];
  if (number === undefined) throw new Error(`csrc/fault.h has no TP_FAULT_${name}`);
  return Number(number);
}
