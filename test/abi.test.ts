// The system-call boundary where a machine is smaller than Linux: what does not fit is refused, never wrapped.
import { expect, test } from 'vitest'
import { MapFlag, Mremap, Prot } from '../src/abi/constants.ts'
import { addressOf, pageOf, prepareMmap, prepareMremap, prepareMunmap } from '../src/abi/system-calls.ts'
import { bootMachine } from '../src/machine/machine.ts'

const WINDOW = 2 ** 39
const FILE = { file: 8, readable: true, writable: true }

bootMachine({ cpus: 1, memory: 2 ** 20, windows: [0, 1, 200, 255] })

test('addresses go to pages and back, in order', () => {
  const addresses = [4096, WINDOW + 4096, 200 * WINDOW, 201 * WINDOW - 4096, 255 * WINDOW + 8192]
  const pages = addresses.map(pageOf)
  expect(pages.map(addressOf)).toEqual(addresses)
  expect(pages).toEqual(pages.toSorted((a, b) => a - b))
  expect(pageOf(2 * WINDOW)).toBe(-1)
})

test('a mapping at an address without a window, or across a gap between windows, is refused', () => {
  const map = (address: number, length: number): unknown =>
    prepareMmap(1, address, length, Prot.read, MapFlag.private | MapFlag.anonymous | MapFlag.fixed, undefined, 0)
  expect(map(3 * WINDOW, 4096)).toBe(-12)
  expect(map(2 * WINDOW - 4096, 8192)).toBe(-12)
  expect(map(WINDOW - 4096, 8192)).toMatchObject({ name: 'sysMmap' })
})

test('a file offset that a word cannot hold is EOVERFLOW', () => {
  const map = (offset: number): unknown => prepareMmap(1, 0, 4096, Prot.read, MapFlag.private, FILE, offset)
  expect(map(2 ** 44)).toBe(-75)
  expect(map(2 ** 40)).toMatchObject({ args: [1, 0, 1, expect.any(Number), 0, 8, 2 ** 28] })
})

test('mremap of a range that no mapping can have is EFAULT', () => {
  const shrink = (length: number): unknown => prepareMremap(1, 2 * WINDOW - 8192, length, 4096, Mremap.mayMove, 0)
  expect(shrink(8192)).toMatchObject({ name: 'sysMremap' })
  expect(shrink(200 * WINDOW)).toBe(-14)
})

test('munmap passes over what has no window', () => {
  expect(prepareMunmap(1, 2 * WINDOW, WINDOW)).toBe(0)
  expect(prepareMunmap(1, 2 * WINDOW - 4096, 200 * WINDOW)).toMatchObject({ name: 'sysMunmap' })
})
