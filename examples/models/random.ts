/**
 * Seeded random numbers that are the same bits everywhere. Only operations that IEEE 754 rounds exactly are
 * used (+, -, *, /, sqrt): Math.log and Math.cos may differ in the last bit from engine to engine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed` is any 32-bit integer. */
  constructor(seed: number) {
    // Four different words from one, none of the state zero.
    this.#a = seed | 0;
    this.#b = Math.imul(seed, 0x9e3779b1) ^ 0x243f6a88;
    this.#c = Math.imul(seed, 0x85ebca77) ^ 0x13198a2e;
    this.#d = 0x03707345;
    for (let i = 0; i < 16; i++) this.uint32();
  }

  /** xorshift128 with an added counter: 32 uniform bits. */
  uint32(): number {
    let t = this.#a ^ (this.#a << 11);
    t ^= t >>> 8;
    this.#a = this.#b;
    this.#b = this.#c;
    this.#c = this.#d;
    this.#d = this.#d ^ (this.#d >>> 19) ^ t;
    return (this.#d + this.#b) >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform integer in [0, below). */
  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Bell-shaped with mean 0 and deviation 1, within (-3, 3): twice the centred sum of three uniforms. */
  normal(): number {
    const sum = this.uint32() + this.uint32() + this.uint32();
    return sum / 2 ** 31 - 3;
  }

  /** `count` normal float32 values of deviation `std`. */
  normals(count: number, std: number): Float32Array<ArrayBuffer> {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.normal() * std;
    return values;
  }
}
