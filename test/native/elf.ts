/** Reads which symbols a 64-bit little-endian ELF library exports, so that no binutils have to be there. */

import { readFileSync } from "node:fs";

const SECTION_DYNSYM = 11;
const SYMBOL_BYTES = 24;

interface Section {
  type: number;
  offset: number;
  bytes: number;
  link: number;
}

/** Names of the functions and objects that the library defines for others. */
export function exportedSymbols(path: string): string[] {
  const file = readFileSync(path);
  if (file.toString("latin1", 0, 6) !== "\x7fELF\x02\x01")
    throw new Error(`${path} is not a 64-bit ELF file`);
  const sections = readSections(file);
  const symbols = sections.find(({ type }) => type === SECTION_DYNSYM);
  if (symbols === undefined) throw new Error(`${path} has no dynamic symbols`);
  const names = sections[symbols.link];
  const found: string[] = [];
  for (let at = symbols.offset; at < symbols.offset + symbols.bytes; at += SYMBOL_BYTES) {
    const binding = file[at + 4] >> 4;
    const section = file.readUInt16LE(at + 6);
    // Section 0: only used here, defined elsewhere. Binding 0: local.
    if (section !== 0 && binding !== 0) found.push(textAt(file, names.offset + file.readUInt32LE(at)));
  }
  return found;
}

function readSections(file: Buffer): Section[] {
  const start = Number(file.readBigUInt64LE(0x28));
  const entryBytes = file.readUInt16LE(0x3a);
  return Array.from({ length: file.readUInt16LE(0x3c) }, (_, index) => {
    const at = start + index * entryBytes;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      bytes: Number(file.readBigUInt64LE(at + 0x20)),
      link: file.readUInt32LE(at + 0x28),
    };
  });
}

function textAt(file: Buffer, at: number): string {
  return file.toString("latin1", at, file.indexOf(0, at));
}
