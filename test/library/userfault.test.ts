// Ranges that the program fills: once per page, by whoever touches it, with the contents it says; errors; fork and mremap.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BusError, createMachine, type Machine } from '../../src/index.ts'

let machine: Machine
let size: number
beforeEach(() => {
  machine = createMachine({ memory: 4 * 2 ** 20, cpus: 1, poison: true })
  size = machine.pageSize
})
afterEach(() => machine.detach())

test('each missing page is asked for once and holds what was answered', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 16 * size })
  const asked: number[] = []
  space.registerUserfault(base + 4 * size, 8 * size, (page) => {
    asked.push((page - base) / size)
    return Uint8Array.of((page - base) / size, 1, 2)
  })
  expect(space.maps().map(({ start, end, userfault }) => [(start - base) / size, (end - base) / size, userfault])).toEqual([
    [0, 4, false],
    [4, 12, true],
    [12, 16, false],
  ])
  expect(space.getInt32(base)).toBe(0)
  expect(space.getInt32(base + 4 * size)).toBe(0x020104)
  space.setUint8(base + 5 * size + 1, 9)
  expect(space.read(base + 5 * size, new Uint8Array(4))).toEqual(Uint8Array.of(5, 9, 2, 0))
  expect(space.getUint8(base + 5 * size + size - 1)).toBe(0)
  // Across two pages, by pins, by atomics, by a copy.
  expect(space.getInt32(base + 7 * size - 2)).toBe(0x01_07_00_00)
  expect(space.pin(base + 8 * size).bytes[0]).toBe(8)
  expect(space.atomics.add(base + 9 * size, 1)).toBe(0x020109)
  expect(space.read(base + 10 * size, new Uint8Array(2 * size))[size]).toBe(11)
  expect(asked).toEqual([4, 5, 6, 7, 8, 9, 10, 11])
  expect(space.getInt32(base + 6 * size)).toBe(0x020106)
  space.madvise(base + 6 * size, size, 'dontneed')
  expect(space.getInt32(base + 6 * size)).toBe(0x020106)
  expect(asked.length).toBe(9)
})

test('what nobody fills is a bus error, and a handler may fail', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 8 * size })
  space.registerUserfault(base, 8 * size, (page) => {
    if (page === base) return undefined
    if (page === base + size) throw new Error('disk on fire')
    if (page === base + 2 * size) return new Uint8Array(size + 1)
    return new Uint8Array(size).fill(3)
  })
  expect(() => space.getInt8(base + 1)).toThrow(BusError)
  expect(() => space.getInt8(base + 1)).toThrow(expect.objectContaining({ address: base + 1 }))
  expect(() => space.getInt8(base + size)).toThrow('disk on fire')
  expect(() => space.getInt8(base + 2 * size)).toThrow(RangeError)
  expect(space.getInt8(base + 3 * size)).toBe(3)
  expect(() => space.madvise(base, size, 'populate-write')).toThrow(expect.objectContaining({ code: 'EFAULT' }))
  expect(() => space.registerUserfault(base + 8 * size, size, () => undefined)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  const shared = space.mmap({ length: size, shared: true })
  expect(() => space.registerUserfault(shared, size, () => undefined)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  space.unregisterUserfault(base, 8 * size)
  expect([space.getInt8(base), space.getInt8(base + 3 * size)]).toEqual([0, 3])
  expect(space.maps().filter(({ userfault }) => userfault)).toEqual([])
})

test('a handler may use the space and other spaces', () => {
  const space = machine.createSpace()
  const store = machine.createSpace()
  const far = store.mmap({ length: 8 * size })
  for (let i = 0; i < 8; i++) store.setFloat64(far + i * size, i + 0.5)
  const base = space.mmap({ length: 8 * size })
  const notes = space.mmap({ length: size })
  space.registerUserfault(base, 8 * size, (page) => {
    space.setInt32(notes, space.getInt32(notes) + 1)
    return store.read(far + (page - base), new Uint8Array(size))
  })
  for (let i = 7; i >= 0; i--) expect(space.getFloat64(base + i * size)).toBe(i + 0.5)
  expect(space.getFloat64(base + 3 * size - 4)).toBe(0)
  expect(space.getInt32(notes)).toBe(8)
})

test('the child finds zeroes where the parent would have been asked, and what moves is not registered', () => {
  const space = machine.createSpace()
  const base = space.mmap({ length: 4 * size })
  space.registerUserfault(base, 4 * size, () => Uint8Array.of(1))
  expect(space.getUint8(base)).toBe(1)
  const child = space.fork()
  expect([child.getUint8(base), child.getUint8(base + size), space.getUint8(base + size)]).toEqual([1, 0, 1])
  const moved = space.mremap(base + 2 * size, 2 * size, 2 * size, { to: base + 100 * size })
  expect(space.getUint8(moved)).toBe(0)
  expect(space.maps().filter(({ userfault }) => userfault).length).toBe(1)
})
