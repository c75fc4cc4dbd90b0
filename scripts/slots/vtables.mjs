/**
 * Slots as the real library has them: the tables of virtual functions, found through the type information
 * that stands in front of each, and the names that functions carry in their own texts (`__func__`).
 */

import { Elf } from "./elf.mjs";

const DERIVED_DEPTH_MAX = 4;
/** Bases of one class; the deepest of TensorRT's has three. */
const BASES_MAX = 4;

export class Library {
  #elf;
  #to;
  #from;
  #starts;

  constructor(path) {
    this.#elf = new Elf(path);
    const { to, from } = this.#elf.pointers();
    this.#to = to;
    this.#from = from;
    this.#starts = this.#elf.starts();
  }

  /** Tables of the classes that implement an interface, given by its mangled name: lists of addresses. */
  tablesOf(mangled) {
    const tables = [];
    for (const type of this.#implementations(mangled)) {
      for (const place of this.#from.get(type) ?? []) {
        // In front of the functions lie the offset to the object's start and the type; 0: the whole object's.
        const offset = this.#elf.offsetOf(place - 8);
        if (offset === undefined || this.#elf.bytes.readBigInt64LE(offset) !== 0n) continue;
        const table = this.#functionsFrom(place + 8);
        if (table.length > 2) tables.push(table);
      }
    }
    return tables;
  }

  /** Type information of the interface and of all that derives from it. */
  #implementations(mangled) {
    const found = new Set(this.#typesNamed(mangled));
    let newest = [...found];
    for (let depth = 0; depth < DERIVED_DEPTH_MAX; depth++) {
      newest = newest.flatMap((base) => this.#derivedFrom(base)).filter((type) => !found.has(type));
      for (const type of newest) found.add(type);
    }
    return found;
  }

  #typesNamed(mangled) {
    const key = Buffer.from(`\0${mangled}\0`, "latin1");
    const { bytes } = this.#elf;
    const types = [];
    for (let at = bytes.indexOf(key); at !== -1; at = bytes.indexOf(key, at + 1)) {
      const address = this.#elf.addressOf(at + 1);
      // A type is two pointers: its kind's table, and its name.
      for (const place of this.#from.get(address) ?? []) types.push(place - 8);
    }
    return types;
  }

  /** A pointer to a base stands 16 bytes into the type with one base, 24 and more into that with several. */
  #derivedFrom(base) {
    const starts = [16, ...Array.from({ length: BASES_MAX }, (_, i) => 24 + 16 * i)];
    return (this.#from.get(base) ?? []).flatMap((place) =>
      starts.map((start) => place - start).filter((type) => this.#isType(type)),
    );
  }

  #isType(address) {
    const name = this.#to.get(address + 8);
    const offset = name === undefined ? undefined : this.#elf.offsetOf(name);
    return this.#to.has(address) && offset !== undefined && /^\*?[NS0-9]/.test(this.#elf.text(offset));
  }

  #functionsFrom(start) {
    const functions = [];
    for (let at = start; ; at += 8) {
      const address = this.#to.get(at);
      if (address === undefined || !this.#elf.isIn(".text", address)) return functions;
      functions.push(address);
    }
  }

  /** Words of the form of a method's name among the texts that a function takes the address of. */
  namesIn(address) {
    const from = this.#elf.offsetOf(address);
    const code = this.#elf.bytes.subarray(from, from + this.#sizeOf(address));
    const names = new Set();
    for (let at = 0; at + 7 <= code.length; at++) {
      // lea disp(%rip), %reg
      if ((code[at] & 0xfb) !== 0x48 || code[at + 1] !== 0x8d || (code[at + 2] & 0xc7) !== 5) continue;
      const target = address + at + 7 + code.readInt32LE(at + 3);
      const name = this.#elf.isIn(".rodata", target) ? this.#wordAt(target) : undefined;
      if (name !== undefined) names.add(name);
    }
    return names;
  }

  #wordAt(address) {
    const offset = this.#elf.offsetOf(address);
    const text = this.#elf.bytes.toString("latin1", offset, offset + 80);
    return /^(?:\w+::)*([a-z]\w{2,60})\0/.exec(text)?.[1];
  }

  #sizeOf(address) {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle] > address) high = middle;
      else low = middle + 1;
    }
    return Math.min((this.#starts[low] ?? address + 4096) - address, 65536);
  }
}
