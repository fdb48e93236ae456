// The library in one thread: the calls and their errors, typed reads and writes, files, the heap, the mappings.
import { afterEach, expect, test, vi } from 'vitest'
import { BusError, createMachine, type Machine, MachineError, type MemoryError, SegmentationFault } from '../../src/index.ts'

let machine: Machine
const made: Machine[] = []
const make = (options: Parameters<typeof createMachine>[0] = {}): Machine => {
  machine = createMachine({ memory: 8 * 2 ** 20, cpus: 2, poison: true, ...options })
  made.push(machine)
  return machine
}
afterEach(() => {
  for (const each of made.splice(0)) each.detach()
})

const caught = (action: () => unknown): unknown => {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}
const code = (action: () => unknown): string => (caught(action) as MemoryError)?.code

for (const arch of ['x86_64', 'powerpc64-hash-64k']) {
  test(`every type, every alignment, across pages, on ${arch}`, () => {
    make({ arch, memory: 64 * 2 ** 20 })
    const space = machine.createSpace()
    const size = machine.pageSize
    const base = space.mmap({ length: 4 * size })
    const mirror = new DataView(new ArrayBuffer(4 * size))
    const types = [
      ['Int8', 1],
      ['Uint8', 1],
      ['Int16', 2],
      ['Uint16', 2],
      ['Int32', 4],
      ['Uint32', 4],
      ['Float32', 4],
      ['Float64', 8],
      ['BigInt64', 8],
      ['BigUint64', 8],
    ] as const
    let seed = 1
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return Math.floor((seed / 0x80000000) * n)
    }
    for (let i = 0; i < 1200; i++) {
      const [type, bytes] = types[random(types.length)]!
      const near = size * (1 + random(3)) - 12 + random(16)
      const at = i % 3 === 0 ? near : random(4 * size - 8)
      if (at + bytes > 4 * size) continue
      const big = type.startsWith('Big')
      const value = big ? BigInt(random(2 ** 31)) * 0x1_0000_0001n : (random(2 ** 31) - 2 ** 30) * (type.startsWith('Float') ? 1.5 : 3)
      // biome-ignore lint/suspicious/noExplicitAny: one line for ten types
      ;(space as any)[`set${type}`](base + at, value)
      // biome-ignore lint/suspicious/noExplicitAny: one line for ten types
      ;(mirror as any)[`set${type}`](at, value, true)
      for (const [other, width] of types) {
        if (at + width > 4 * size) continue
        // biome-ignore lint/suspicious/noExplicitAny: one line for ten types
        expect((space as any)[`get${other}`](base + at)).toEqual((mirror as any)[`get${other}`](at, true))
      }
    }
    expect(space.read(base, new Uint8Array(4 * size))).toEqual(new Uint8Array(mirror.buffer))
    space.exit()
  })
}

test('aligned integers of 16 and 32 bits do not go by way of a DataView, which may tear them', () => {
  const space = make().createSpace()
  const base = space.mmap({ length: machine.pageSize })
  const spies = (['Int16', 'Uint16', 'Int32', 'Uint32'] as const).flatMap((type) => [
    vi.spyOn(DataView.prototype, `set${type}`),
    vi.spyOn(DataView.prototype, `get${type}`),
  ])
  const onMachine = (): number =>
    spies.reduce((sum, spy) => sum + spy.mock.contexts.filter((view) => (view as DataView).buffer === machine.handle.buffer).length, 0)
  for (const missing of [true, false]) {
    // The other way of a read, of what the TLB does not know.
    const at = missing ? 8 : 0
    expect([space.getInt16(base + at), space.getUint32(base + at)]).toEqual([0, 0])
    space.setInt16(base + at + 2, -2)
    space.setUint16(base + at + 4, 0xfffe)
    space.setInt32(base + at + 8, -7)
    space.setUint32(base + at + 12, 0xfffffff9)
    expect([space.getInt16(base + at + 2), space.getUint16(base + at + 2)]).toEqual([-2, 0xfffe])
    expect([space.getInt32(base + at + 8), space.getUint32(base + at + 12)]).toEqual([-7, 0xfffffff9])
    space.madvise(base, machine.pageSize, 'dontneed')
    expect([space.getUint16(base), space.getInt32(base)]).toEqual([0, 0])
    space.madvise(base, machine.pageSize, 'dontneed')
    expect([space.getUint32(base), space.getInt16(base)]).toEqual([0, 0])
  }
  expect(onMachine()).toBe(0)
  // What the counting is worth: these are no elements of a typed array.
  space.setInt32(base + 1, 1)
  expect(space.getUint16(base + 1)).toBe(1)
  expect(onMachine()).toBeGreaterThan(1)
  for (const spy of spies) spy.mockRestore()
})

test('bulk copies cross pages and stop where they must', () => {
  const space = make().createSpace()
  const size = machine.pageSize
  const base = space.mmap({ length: 3 * size })
  const bytes = Uint8Array.from({ length: 2 * size + 100 }, (_, i) => i * 7)
  space.write(base + 50, bytes)
  expect(space.read(base + 50, new Uint8Array(bytes.length))).toEqual(bytes)
  space.munmap(base + size, size)
  const error = caught(() => space.read(base + 50, new Uint8Array(bytes.length)))
  expect(error).toBeInstanceOf(SegmentationFault)
  expect((error as SegmentationFault).address).toBe(base + size)
  expect((caught(() => space.write(base + 50, bytes)) as SegmentationFault).address).toBe(base + size)
})

test('faults say which address, signal and code', () => {
  const space = make().createSpace()
  const size = machine.pageSize
  expect(caught(() => space.getInt32(0))).toMatchObject({ name: 'SegmentationFault', signal: 'SIGSEGV', code: 'MAPERR', address: 0 })
  const base = space.mmap({ length: 2 * size, prot: 'r' })
  expect(space.getInt32(base)).toBe(0)
  expect(caught(() => space.setInt32(base + 8, 1))).toMatchObject({ code: 'ACCERR', address: base + 8 })
  space.mprotect(base, size, 'none')
  expect(caught(() => space.getUint8(base))).toMatchObject({ code: 'ACCERR', address: base })
  // Across pages: the first byte that cannot be reached, and nothing written.
  space.mprotect(base, size, 'rw')
  expect(caught(() => space.setInt32(base + size - 2, -1))).toMatchObject({ code: 'ACCERR', address: base + size })
  expect(space.getUint16(base + size - 2)).toBe(0)
  for (const address of [-1, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    expect(
      caught(() => space.getInt8(address)),
      String(address),
    ).toBeInstanceOf(SegmentationFault)
  }
  const between = 20 * 2 ** 39
  expect(String(caught(() => space.getInt8(between)))).toContain('no window of this machine holds 0xa0000000000 (window 20')
  const mapped = caught(() => space.mmap({ address: between, length: size, fixed: true }))
  expect(mapped).toMatchObject({ name: 'MemoryError', code: 'ENOMEM', errno: 12, call: 'mmap' })
  expect(String(mapped)).toContain('no window')
  // A fault leaves the CPU outside: everything goes on.
  space.setInt32(base, 5)
  expect(space.getInt32(base)).toBe(5)
})

test('calls are refused as Linux refuses them', () => {
  const space = make({ maxMapCount: 8 }).createSpace()
  const size = machine.pageSize
  const base = space.mmap({ length: 16 * size })
  expect(code(() => space.mmap({ length: 0 }))).toBe('EINVAL')
  expect(code(() => space.mmap({ length: -1 }))).toBe('EINVAL')
  expect(code(() => space.mmap({ length: Number.NaN }))).toBe('EINVAL')
  expect(code(() => space.mmap({ length: 2 ** 52 }))).toBe('ENOMEM')
  expect(code(() => space.mmap({ length: size, address: base, noreplace: true }))).toBe('EEXIST')
  expect(code(() => space.mmap({ length: size, address: base + 1, fixed: true }))).toBe('EINVAL')
  expect(code(() => space.mmap({ length: size, address: size, fixed: true }))).toBe('EPERM')
  expect(code(() => space.mmap({ length: size, prot: 'q' as 'r' }))).toBe('EINVAL')
  expect(code(() => space.munmap(base + 1, size))).toBe('EINVAL')
  expect(code(() => space.munmap(base, 0))).toBe('EINVAL')
  expect(code(() => space.mprotect(base, 17 * size, 'r'))).toBe('ENOMEM')
  expect(code(() => space.madvise(base + 32 * size, size, 'dontneed'))).toBe('ENOMEM')
  expect(code(() => space.madvise(base, size, 'later' as 'free'))).toBe('EINVAL')
  expect(code(() => space.mremap(base - size, size, 2 * size))).toBe('EFAULT')
  expect(code(() => space.mremap(base, size, 0))).toBe('EINVAL')
  expect(code(() => space.brk(size))).toBe('ENOMEM')
  expect(code(() => space.registerUserfault(base, 1, () => undefined))).toBe('EINVAL')
  expect(() => space.setBigInt64(base, 1 as unknown as bigint)).toThrow(TypeError)
  expect(
    code(() => {
      for (let i = 0; i < 16; i += 2) space.munmap(base + i * size, size)
    }),
  ).toBe('ENOMEM')
})

test('mmap, mprotect, madvise, mremap, brk and maps agree', () => {
  const space = make().createSpace()
  const size = machine.pageSize
  const base = space.mmap({ length: 8 * size, populate: true })
  for (let i = 0; i < 8; i++) space.setInt32(base + i * size, 100 + i)
  space.mprotect(base + 2 * size, 2 * size, 'r')
  space.munmap(base + 5 * size, size)
  expect(space.maps().map(({ start, end, prot, shared }) => [(start - base) / size, (end - base) / size, prot, shared])).toEqual([
    [0, 2, 'rw-', false],
    [2, 4, 'r--', false],
    [4, 5, 'rw-', false],
    [6, 8, 'rw-', false],
  ])
  space.madvise(base, size, 'dontneed')
  expect(space.getInt32(base)).toBe(0)
  expect(code(() => space.mremap(base + 4 * size, size, 2 * size + 1))).toBe('ENOMEM')
  const moved = space.mremap(base + 4 * size, size, 3 * size, { mayMove: true })
  expect([space.getInt32(moved), space.getInt32(moved + size)]).toEqual([104, 0])
  const to = base + 100 * size
  expect(space.mremap(moved, size, size, { to })).toBe(to)
  expect(space.getInt32(to)).toBe(104)
  expect(space.mremap(to, size, size, { dontUnmap: true })).not.toBe(to)
  expect(space.getInt32(to)).toBe(0)
  const heap = space.brk()
  expect(space.brk(heap + 5)).toBe(heap + 5)
  space.setUint8(heap, 9)
  expect(space.brk(heap)).toBe(heap)
  expect(caught(() => space.getUint8(heap))).toBeInstanceOf(SegmentationFault)
})

test('fork copies on write, shared memory stays shared, exit frees', () => {
  const space = make().createSpace()
  const size = machine.pageSize
  const warm = space.fork()
  warm.exit()
  const own = space.mmap({ length: 4 * size, populate: true })
  const common = space.mmap({ length: size, shared: true })
  space.setInt32(own, 1)
  space.setInt32(common, 1)
  const child = space.fork()
  expect([child.getInt32(own), child.getInt32(common)]).toEqual([1, 1])
  child.setInt32(own, 2)
  child.setInt32(common, 3)
  // Reads that hit the TLB of the one space must not be answered by the other's.
  for (let i = 0; i < 50; i++) {
    expect([space.getInt32(own), child.getInt32(own), space.getInt32(common)]).toEqual([1, 2, 3])
    space.setInt32(own + 4, i)
    expect([space.getInt32(own + 4), child.getInt32(own + 4)]).toEqual([i, 0])
  }
  const before = machine.memoryUsage().free
  child.exit()
  machine.barrier()
  expect(machine.memoryUsage().free).toBeGreaterThan(before)
  expect(() => child.getInt32(own)).toThrow(MachineError)
  expect(() => child.maps()).toThrow(MachineError)
  expect(() => child.atomics.load(own)).toThrow(MachineError)
  expect(() => machine.space(child.id)).toThrow(MachineError)
  expect(machine.space(space.id)).toBe(space)
})

test('files are mapped shared and private, and end', () => {
  const space = make().createSpace()
  const size = machine.pageSize
  const contents = Uint8Array.from({ length: size + 10 }, (_, i) => i % 251)
  const file = machine.createFile(contents)
  const shared = space.mmap({ length: file.length, file, shared: true })
  const own = space.mmap({ length: 3 * size, file })
  const second = space.mmap({ length: size, file, offset: size, prot: 'r' })
  expect(space.read(shared, new Uint8Array(file.length))).toEqual(contents)
  space.setUint8(shared + size, 77)
  space.setUint8(own, 99)
  expect([space.getUint8(second), space.getUint8(own + size), space.getUint8(shared)]).toEqual([77, 77, 0])
  expect(space.getUint8(own + size + 10)).toBe(0)
  expect(caught(() => space.getUint8(own + 2 * size))).toMatchObject({
    name: 'BusError',
    signal: 'SIGBUS',
    code: 'ADRERR',
    address: own + 2 * size,
  })
  expect(space.maps().find(({ start }) => start === second)).toMatchObject({ file: file.id, offset: size, prot: 'r--', shared: false })
  expect(machine.file(file.id).length).toBe(file.length)
  file.close()
  expect(() => space.mmap({ length: 1, file })).toThrow(MachineError)
  expect(space.getUint8(second)).toBe(77)
  expect(code(() => machine.createFile(-1))).toBe('EINVAL')
  expect(code(() => machine.createFile(new Uint8Array(9 * 2 ** 20)))).toBe('ENOMEM')
})

test('out of memory is an error, and memory comes back', () => {
  const space = make({ memory: 2 * 2 ** 20 }).createSpace()
  const size = machine.pageSize
  const base = space.mmap({ length: 1024 * size })
  const error = caught(() => {
    for (let i = 0; i < 1024; i++) space.setInt32(base + i * size, i)
  })
  expect(error).toMatchObject({ name: 'MemoryError', code: 'ENOMEM' })
  space.munmap(base, 1024 * size)
  const again = space.mmap({ length: 256 * size, populate: true })
  for (let i = 0; i < 256; i++) space.setInt32(again + i * size, i)
  for (let i = 0; i < 256; i++) expect(space.getInt32(again + i * size)).toBe(i)
})

test('one thread on two machines', () => {
  const first = make().createSpace()
  const one = machine
  const second = make().createSpace()
  const a = first.mmap({ length: one.pageSize })
  const b = second.mmap({ length: machine.pageSize })
  for (let i = 0; i < 20; i++) {
    first.setInt32(a, i)
    second.setInt32(b, 100 - i)
    expect([first.getInt32(a), second.getInt32(b)]).toEqual([i, 100 - i])
  }
  const file = one.createFile(10)
  expect(() => second.mmap({ length: 10, file })).toThrow(MachineError)
})

test('atomics at virtual addresses', () => {
  const space = make().createSpace()
  const at = space.mmap({ length: machine.pageSize }) + 8
  const { atomics } = space
  expect([atomics.store(at, 5), atomics.add(at, 3), atomics.sub(at, 1), atomics.load(at)]).toEqual([5, 5, 8, 7])
  expect([atomics.and(at, 6), atomics.or(at, 8), atomics.xor(at, 1), atomics.load(at)]).toEqual([7, 6, 14, 15])
  expect([atomics.exchange(at, -1), atomics.compareExchange(at, 0, 4), atomics.compareExchange(at, -1, 4), atomics.load(at)]).toEqual([
    15, -1, -1, 4,
  ])
  expect(atomics.wait(at, 5)).toBe('not-equal')
  expect(atomics.wait(at, 4, 5)).toBe('timed-out')
  expect(atomics.notify(at)).toBe(0)
  expect(caught(() => atomics.add(at + 1, 1))).toMatchObject({ name: 'BusError', code: 'ADRALN' })
  expect(caught(() => atomics.add(at + 2, 1))).toBeInstanceOf(BusError)
  expect(space.getInt32(at)).toBe(4)
})
