/** A shared library's sections, symbols, relocations and functions. 64-bit, little-endian, read whole. */

import { readFileSync } from "node:fs";

const R_X86_64_64 = 1n;
const R_X86_64_RELATIVE = 8n;

export class Elf {
  /** @type {Buffer} */
  bytes;
  sections = new Map();

  constructor(path) {
    this.bytes = readFileSync(path);
    const { bytes } = this;
    const at = Number(bytes.readBigUInt64LE(0x28));
    const [size, count, names] = [0x3a, 0x3c, 0x3e].map((offset) => bytes.readUInt16LE(offset));
    const read = (i) => {
      const from = at + i * size;
      const [address, offset, length] = [16, 24, 32].map((field) =>
        Number(bytes.readBigUInt64LE(from + field)),
      );
      return { name: bytes.readUInt32LE(from), type: bytes.readUInt32LE(from + 4), address, offset, length };
    };
    const all = Array.from({ length: count }, (_, i) => read(i));
    for (const section of all) this.sections.set(this.text(all[names].offset + section.name), section);
    // NOBITS sections lie in no file.
    this.mapped = all.filter(({ address, type }) => address > 0 && type !== 8);
  }

  /** The string at a file offset. */
  text(offset) {
    return this.bytes.toString("latin1", offset, this.bytes.indexOf(0, offset));
  }

  offsetOf(address) {
    const section = this.mapped.find((one) => address >= one.address && address < one.address + one.length);
    return section === undefined ? undefined : section.offset + address - section.address;
  }

  addressOf(offset) {
    const section = this.mapped.find((one) => offset >= one.offset && offset < one.offset + one.length);
    return section === undefined ? undefined : section.address + offset - section.offset;
  }

  isIn(name, address) {
    const section = this.sections.get(name);
    return section !== undefined && address >= section.address && address < section.address + section.length;
  }

  /** Exported functions: name, address and size. */
  functions() {
    const symbols = this.sections.get(".dynsym");
    const strings = this.sections.get(".dynstr");
    const found = [];
    for (let at = symbols.offset; at < symbols.offset + symbols.length; at += 24) {
      if ((this.bytes[at + 4] & 15) !== 2) continue;
      const [address, size] = [8, 16].map((field) => Number(this.bytes.readBigUInt64LE(at + field)));
      found.push({ name: this.text(strings.offset + this.bytes.readUInt32LE(at)), address, size });
    }
    return found;
  }

  /** Pointers that the loader writes: by place what they point to, and by target their places. */
  pointers() {
    const { offset, length } = this.sections.get(".rela.dyn");
    const symbols = this.sections.get(".dynsym");
    const [to, from] = [new Map(), new Map()];
    for (let at = offset; at < offset + length; at += 24) {
      const info = this.bytes.readBigUInt64LE(at + 8);
      const place = Number(this.bytes.readBigUInt64LE(at));
      const addend = Number(this.bytes.readBigInt64LE(at + 16));
      let target = addend;
      if ((info & 0xffffffffn) === R_X86_64_64) {
        const symbol = symbols.offset + Number(info >> 32n) * 24;
        target = addend + Number(this.bytes.readBigUInt64LE(symbol + 8));
      } else if ((info & 0xffffffffn) !== R_X86_64_RELATIVE) continue;
      to.set(place, target);
      const places = from.get(target);
      if (places === undefined) from.set(target, [place]);
      else places.push(place);
    }
    return { to, from };
  }

  /** First addresses of all functions, sorted, as the exception tables list them. */
  starts() {
    const { address, offset } = this.sections.get(".eh_frame_hdr");
    const count = this.bytes.readUInt32LE(offset + 8);
    return Float64Array.from(
      { length: count },
      (_, i) => address + this.bytes.readInt32LE(offset + 12 + i * 8),
    ).toSorted();
  }
}
