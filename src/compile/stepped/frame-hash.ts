// What the frames of a stopped CPU hold, as two 32-bit hashes. Generators cannot be looked into, so the compiled code says it:
// where a frame can stop, it mixes its place and the locals that it still needs into the hashes that it found when it began,
// which are those of the frames below. A call leaves the result here for the function that it enters, an instruction for
// `announce`. Hashes of a frame lie in its own generator; nothing has to be undone when it returns.

/** The hashes made last. */
export let hash0 = 0
export let hash1 = 0

/** Begins with an empty stack: the next function that begins is the outermost. */
export function emptyStack(): void {
  hash0 = 0x2545f491
  hash1 = 0x6c078965
}

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)

/** Mixes what is no 32-bit number: a boolean, nothing yet, or a number that needs 64 bits. */
function oddly(h: number, value: unknown): number {
  double[0] = typeof value === 'number' ? value : value === undefined ? Number.NaN : value === true ? 0.5 : 0.25
  return Math.imul(Math.imul(h ^ (halves[0] as number), 0x7feb352d) ^ (halves[1] as number), 0x68e31da5)
}

function mix0(h: number, value: number): number {
  const whole = value | 0
  const mixed = Math.imul((whole === value ? h : oddly(h, value)) ^ whole, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

function mix1(h: number, value: number): number {
  const whole = value | 0
  const mixed = Math.imul(((((whole === value ? h : oddly(h, value)) << 7) | (h >>> 25)) + whole) | 0, 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}

/** A frame with the hashes `h0` and `h1` stops at `place`, needing nothing more. Returns `place`. */
export function keep0(h0: number, h1: number, place: number): number {
  hash0 = mix0(h0, place)
  hash1 = mix1(h1, place)
  return place
}

/** The same; it still needs one value. */
export function keep1(h0: number, h1: number, place: number, a: number): number {
  hash0 = mix0(mix0(h0, place), a)
  hash1 = mix1(mix1(h1, place), a)
  return place
}

/** Two values. */
export function keep2(h0: number, h1: number, place: number, a: number, b: number): number {
  hash0 = mix0(mix0(mix0(h0, place), a), b)
  hash1 = mix1(mix1(mix1(h1, place), a), b)
  return place
}

/** Three values. */
export function keep3(h0: number, h1: number, place: number, a: number, b: number, c: number): number {
  hash0 = mix0(mix0(mix0(mix0(h0, place), a), b), c)
  hash1 = mix1(mix1(mix1(mix1(h1, place), a), b), c)
  return place
}

/** Four values. */
export function keep4(h0: number, h1: number, place: number, a: number, b: number, c: number, d: number): number {
  hash0 = mix0(mix0(mix0(mix0(mix0(h0, place), a), b), c), d)
  hash1 = mix1(mix1(mix1(mix1(mix1(h1, place), a), b), c), d)
  return place
}

/** One value more. */
export function also1(place: number, a: number): number {
  return keep0(mix0(hash0, a), mix1(hash1, a), place)
}

/** Two values more. */
export function also2(place: number, a: number, b: number): number {
  return keep1(mix0(hash0, a), mix1(hash1, a), place, b)
}

/** Three values more. */
export function also3(place: number, a: number, b: number, c: number): number {
  return keep2(mix0(hash0, a), mix1(hash1, a), place, b, c)
}

/** Four values more. */
export function also4(place: number, a: number, b: number, c: number, d: number): number {
  return keep3(mix0(hash0, a), mix1(hash1, a), place, b, c, d)
}

const prototypes = new WeakSet<object>()

/** Says that these generator functions were compiled, so that their frames are in the hashes. */
export function compiled(...functions: readonly { readonly prototype: object }[]): void {
  for (const { prototype } of functions) prototypes.add(prototype)
}

/** Whether `generator` was made by a compiled function. */
export function isCompiled(generator: object): boolean {
  return prototypes.has(Object.getPrototypeOf(generator) as object)
}
