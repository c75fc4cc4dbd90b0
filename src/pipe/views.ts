/**
 * What a typed array really is. A caller's array may have properties of its own that lie (`length`,
 * `constructor`), come from another realm, or have lost its buffer, so everything here asks the built-in
 * getters.
 */

import { show } from "../errors.ts";

const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
const tagGetter = getter(prototype, Symbol.toStringTag);
const lengthGetter = getter(prototype, "length");
const bufferGetter = getter(prototype, "buffer");
const offsetGetter = getter(prototype, "byteOffset");
const detachedGetter = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "detached")?.get;

/** Class name of a typed array, `"Float32Array"`; undefined for everything else, a DataView too. */
export function tagOf(value: unknown): string | undefined {
  return tagGetter.call(value) as string | undefined;
}

/** Elements; 0 if the buffer is detached or no longer covers the view. The value must be a typed array. */
export function lengthOf(view: object): number {
  return lengthGetter.call(view) as number;
}

export function bufferOf(view: object): ArrayBufferLike {
  return bufferGetter.call(view) as ArrayBufferLike;
}

export function byteOffsetOf(view: object): number {
  return offsetGetter.call(view) as number;
}

/** Whether the buffer of a typed array is gone: transferred or posted away. */
export function isDetached(view: object): boolean {
  const buffer = bufferOf(view);
  try {
    if (detachedGetter !== undefined) return detachedGetter.call(buffer) as boolean;
    return new Uint8Array(buffer).length < 0;
  } catch {
    // The getter throws for a SharedArrayBuffer, never detached; without it, only detached buffers throw.
    return detachedGetter === undefined;
  }
}

/**
 * Whether another thread may make the view longer at any moment: it follows a SharedArrayBuffer that can
 * grow.
 */
export function mayGrow(view: object): boolean {
  return (bufferOf(view) as { growable?: boolean }).growable === true;
}

function getter(owner: object, key: string | symbol): () => unknown {
  return Object.getOwnPropertyDescriptor(owner, key)!.get!;
}

/** `show` for values of a caller's, which may throw wherever they are touched. */
export function showSafely(value: unknown): string {
  try {
    const tag = tagOf(value);
    if (tag !== undefined) return `${tag} of ${lengthOf(value as object)}`;
    return value instanceof Promise ? "a Promise, which has to be awaited first" : show(value);
  } catch {
    return "an object that cannot be read";
  }
}
