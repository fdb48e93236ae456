// Digests of states: two words, mixed by two unrelated functions in the manner of Murmur3, so that they count as 64 bits.

/** Adds one value to the digest in `into`. The order of values matters. */
export function mixInto(into: Int32Array, value: number): void {
  let k = Math.imul(value, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  let h = (into[0] as number) ^ k
  into[0] = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
  k = Math.imul(value ^ 0x5bd1e995, 0x239b961b)
  k = Math.imul((k << 16) | (k >>> 16), 0xab0e9789)
  h = (into[1] as number) ^ k
  into[1] = (Math.imul((h << 17) | (h >>> 15), 9) + 0x561ccd1b) | 0
}

/** Makes every bit of the digest in `into` depend on all that was mixed into it. To be done once, at the end. */
export function finishDigest(into: Int32Array): void {
  let h = (into[0] as number) ^ ((into[1] as number) >>> 7)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  let g = into[1] as number
  g = Math.imul(g ^ (g >>> 15), 0x2c1b3c6d)
  g = Math.imul(g ^ (g >>> 12), 0x297a2d39)
  into[0] = h ^ (h >>> 16)
  into[1] = g ^ (g >>> 15)
}
