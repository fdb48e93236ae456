// Pins: the view and the mapping stay one page through writes, fork and mremap; the frame stays after munmap.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createMachine, type Machine, SegmentationFault } from '../../src/index.ts'

let machine: Machine
let size: number
beforeEach(() => {
  machine = createMachine({ memory: 4 * 2 ** 20, cpus: 1, poison: true })
  size = machine.pageSize
})
afterEach(() => machine.detach())

test('a view is the page, not a copy', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 2 * size })
  const pin = space.pin(base + 100, { write: true })
  expect([pin.address, pin.bytes.length]).toEqual([base, size])
  space.setUint8(base + 5, 42)
  expect(pin.bytes[5]).toBe(42)
  pin.bytes[6] = 43
  expect(space.getUint8(base + 6)).toBe(43)
  pin.unpin()
  pin.unpin()
  expect(() => space.pin(base - size)).toThrow(SegmentationFault)
  space.mprotect(base, size, 'r')
  expect(() => space.pin(base, { write: true })).toThrow(SegmentationFault)
  expect(space.pin(base).bytes[6]).toBe(43)
})

test('a pin for reading sees later writes, although the page was the zero page or shared with a child', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 2 * size })
  space.setUint8(base + size, 1)
  expect(space.getUint8(base)).toBe(0)
  const child = space.fork()
  const zero = space.pin(base)
  const shared = space.pin(base + size)
  space.setUint8(base, 5)
  space.setUint8(base + size, 6)
  expect([zero.bytes[0], shared.bytes[0]]).toEqual([5, 6])
  expect([child.getUint8(base), child.getUint8(base + size)]).toEqual([0, 1])
  zero.unpin()
  shared.unpin()
})

test('fork copies pinned pages at once: the parent keeps the page, the child has what it held', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 4 * size })
  for (let i = 0; i < 4; i++) space.setInt32(base + i * size, 100 + i)
  const pin = space.pin(base + size, { write: true })
  const child = space.fork()
  const grandchild = child.fork()
  for (let i = 0; i < 4; i++) {
    space.setInt32(base + i * size, 200 + i)
    child.setInt32(base + i * size, 300 + i)
  }
  expect(new DataView(pin.bytes.buffer, pin.bytes.byteOffset).getInt32(0, true)).toBe(201)
  pin.bytes[0] = 7
  for (let i = 0; i < 4; i++) {
    expect(space.getInt32(base + i * size) & ~0xff).toBe((200 + i) & ~0xff)
    expect(child.getInt32(base + i * size)).toBe(300 + i)
    expect(grandchild.getInt32(base + i * size)).toBe(100 + i)
  }
  expect(space.getUint8(base + size)).toBe(7)
  grandchild.exit()
  child.exit()
  pin.unpin()
  // Not pinned any more: fork shares it, and the first write copies it.
  const late = space.fork()
  space.setUint8(base + size, 8)
  expect([late.getUint8(base + size), space.getUint8(base + size)]).toEqual([7, 8])
})

test('the frame is nobody else until it is given back', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: size })
  const pin = space.pin(base, { write: true })
  pin.bytes.fill(9)
  space.munmap(base, size)
  const other = space.mmap({ length: 600 * size })
  for (let i = 0; i < 600; i++) space.setInt32(other + i * size, -1)
  expect(pin.bytes.every((byte) => byte === 9)).toBe(true)
  pin.unpin()
  // Poisoned: it has been freed.
  expect(pin.bytes[100]).toBe(0x6b)
})

test('a pin goes along with mremap, and stands behind after dontneed', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: size })
  const pin = space.pin(base, { write: true })
  const moved = space.mremap(base, size, size, { to: base + 10 * size })
  pin.bytes[0] = 3
  expect(space.getUint8(moved)).toBe(3)
  space.madvise(moved, size, 'dontneed')
  expect([space.getUint8(moved), pin.bytes[0]]).toEqual([0, 3])
  pin.unpin()
})

test('fork without memory for the copies of pinned pages is ENOMEM and leaves the parent whole', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 600 * size })
  const pins = []
  for (let i = 0; i < 600; i++) {
    space.setInt32(base + i * size, i + 1)
    pins.push(space.pin(base + i * size, { write: true }))
  }
  expect(() => space.fork()).toThrow(expect.objectContaining({ code: 'ENOMEM' }))
  for (let i = 0; i < 600; i++) {
    expect(space.getInt32(base + i * size)).toBe(i + 1)
    space.setInt32(base + i * size, -i)
  }
  for (const [i, pin] of pins.entries()) {
    expect(new DataView(pin.bytes.buffer, pin.bytes.byteOffset).getInt32(0, true)).toBe(-i + 0)
    pin.unpin()
  }
  space.fork().exit()
})
