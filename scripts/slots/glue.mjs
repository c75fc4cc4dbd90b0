/**
 * Slots as a C++ compiler used them: the Java bindings of TensorRT were compiled against its headers, and
 * each of their functions calls one method through its slot.
 */

import { Elf } from "./elf.mjs";

/** By `Class.method` the functions' names and the slot that each calls. */
export function slotsOfGlue(path, namespace) {
  const elf = new Elf(path);
  const prefix = `Java_org_bytedeco_tensorrt_${namespace}_`;
  const found = new Map();
  for (const { name, address, size } of elf.functions()) {
    if (!name.startsWith(prefix)) continue;
    const [, owner, method, rest] = /^(I\w+?)_([a-zA-Z0-9]+)(__.*)?$/.exec(name.slice(prefix.length)) ?? [];
    if (owner === undefined) continue;
    const from = elf.offsetOf(address);
    const direct = namespace === "nvonnxparser";
    const slot = calledSlot(elf.bytes.subarray(from, from + size), direct);
    if (slot === undefined) continue;
    const key = `${owner}.${method}`;
    found.set(key, [...(found.get(key) ?? []), { overload: rest ?? "", slot }]);
  }
  return found;
}

/**
 * The method's call. Of an outer object: `mov 8(%reg), %rdi` (or %rsi, behind the place for a result), then
 * `mov (%rdi), %rax` and a call through %rax. A direct object has no first step, so there the last call
 * through a table that was just loaded from the object is meant; those of Java's own environment lie higher.
 */
function calledSlot(code, direct) {
  for (let at = 0; at + 12 < code.length; at++) {
    if (!direct && !loadsImplementation(code, at)) continue;
    if (direct && !loadsTable(code, at)) continue;
    const end = Math.min(code.length - 6, at + (direct ? 24 : 64));
    const slot = direct
      ? callAt(code, at + (code[at + 2] >> 6 === 1 ? 4 : 3), end)
      : behindTable(code, at + 4, end);
    // Java's environment has its first function for objects at 0xf8, and none of the parser's is that far.
    if (slot !== undefined && (!direct || slot < 24)) return slot;
  }
  return undefined;
}

/** 48 to 4B, 8B /r with the displacement 8, into %rdi or %rsi. */
function loadsImplementation(code, at) {
  if ((code[at] & 0xfc) !== 0x48 || code[at + 1] !== 0x8b) return false;
  const modrm = code[at + 2];
  const register = (modrm >> 3) & 7;
  if (modrm >> 6 !== 1 || (register !== 7 && register !== 6)) return false;
  return (modrm & 7) === 4 ? code[at + 4] === 8 : code[at + 3] === 8;
}

function behindTable(code, from, end) {
  for (let at = from; at < end; at++) {
    // mov (%rdi), %rax or mov (%rsi), %rax
    if (code[at] === 0x48 && code[at + 1] === 0x8b && (code[at + 2] === 0x07 || code[at + 2] === 0x06)) {
      return callAt(code, at + 3, end);
    }
  }
  return undefined;
}

/** mov (%reg), %rax */
function loadsTable(code, at) {
  const [rex, op, modrm] = code.subarray(at, at + 3);
  return (rex === 0x48 || rex === 0x49) && op === 0x8b && modrm >> 6 <= 1 && ((modrm >> 3) & 7) === 0;
}

/** The slot of the next call through %rax, or of the next address that is taken out of the table. */
function callAt(code, from, end) {
  for (let at = from; at < end; at++) {
    const [first, second, modrm] = code.subarray(at, at + 3);
    if (first === 0xff) {
      const slot = displaced(code, at + 1, [0x10, 0x20], [0x50, 0x60], [0x90, 0xa0]);
      if (slot !== undefined) return slot;
    }
    // mov disp(%rax), %rax, and a jump to it behind the end of the frame
    if (first === 0x48 && second === 0x8b && (modrm & 0x3f) === 0) {
      return displaced(code, at + 2, [0x00], [0x40], [0x80]);
    }
  }
  return undefined;
}

function displaced(code, at, none, byte, word) {
  if (none.includes(code[at])) return 0;
  if (byte.includes(code[at])) return code.readInt8(at + 1) / 8;
  return word.includes(code[at]) ? code.readInt32LE(at + 1) / 8 : undefined;
}
