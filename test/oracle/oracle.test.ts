// The sequential oracle by itself: what its interface promises, on 4K and 64K pages. That its rules are
// Linux's is the business of test/linux.

import { describe, expect, test } from 'vitest'
import * as c from '../../src/oracle/constants.ts'
import { createOracle, type Oracle } from '../../src/oracle/oracle.ts'

const PRIVATE = c.MAP_PRIVATE | c.MAP_ANONYMOUS
const RW = c.PROT_READ | c.PROT_WRITE

describe.each([12, 16])('with pages of 2^%i bytes', (pageShift) => {
  const page = 2 ** pageShift
  const base = 2 ** 46

  function make(): Oracle {
    return createOracle({ pageShift, base, limit: base + 64 * page, startBrk: base })
  }

  function map(oracle: Oracle, at: number, pages: number, prot = RW, flags = PRIVATE | c.MAP_FIXED): number {
    return oracle.mmap(0, { address: base + at * page, length: pages * page, prot, flags })
  }

  /** The mappings as `start-end rights` in pages. */
  function shape(oracle: Oracle, process = 0): string[] {
    return oracle
      .maps(process)
      .map((m) => `${(m.start - base) / page}-${(m.end - base) / page} ${m.read ? 'r' : '-'}${m.write ? 'w' : '-'}`)
  }

  test('places from the top, takes free hints, passes over occupied ones', () => {
    const oracle = make()
    expect(oracle.mmap(0, { address: 0, length: 1, prot: RW, flags: PRIVATE })).toBe(base + 63 * page)
    expect(oracle.mmap(0, { address: base + 10 * page + 5, length: page, prot: c.PROT_READ, flags: PRIVATE })).toBe(base + 10 * page)
    expect(oracle.mmap(0, { address: base + 10 * page, length: page, prot: RW, flags: PRIVATE })).toBe(base + 62 * page)
    expect(oracle.mmap(0, { address: 0, length: 64 * page, prot: RW, flags: PRIVATE })).toBe(-c.ENOMEM)
    expect(shape(oracle)).toEqual(['10-11 r-', '62-64 rw'])
  })

  test('splits and merges with mprotect', () => {
    const oracle = make()
    map(oracle, 4, 6)
    oracle.write(0, base + 5 * page, 1)
    expect(oracle.mprotect(0, base + 5 * page, page, c.PROT_READ)).toBe(0)
    expect(shape(oracle)).toEqual(['4-5 rw', '5-6 r-', '6-10 rw'])
    expect(oracle.mprotect(0, base + 5 * page, page, RW)).toBe(0)
    expect(shape(oracle)).toEqual(['4-10 rw'])
    expect(oracle.counters).toMatchObject({ splits: 2, merges: 1 })
  })

  test('keeps what a stopped mprotect did', () => {
    const oracle = make()
    map(oracle, 4, 2)
    expect(oracle.mprotect(0, base + 4 * page, 4 * page, c.PROT_READ)).toBe(-c.ENOMEM)
    expect(shape(oracle)).toEqual(['4-6 r-'])
  })

  test('copies on write after fork, in both directions', () => {
    const oracle = make()
    const at = map(oracle, 0, 2)
    oracle.write(0, at, 1)
    const child = oracle.fork(0)
    oracle.write(0, at, 2)
    expect(oracle.read(child, at)).toEqual({ stamp: 1 })
    oracle.write(child, at, 3)
    expect(oracle.read(0, at)).toEqual({ stamp: 2 })
    oracle.exit(child)
    expect(oracle.isAlive(child)).toBe(false)
    expect(() => oracle.read(child, at)).toThrow(RangeError)
  })

  test('shares what is shared', () => {
    const oracle = make()
    const at = map(oracle, 0, 2, RW, c.MAP_SHARED | c.MAP_ANONYMOUS | c.MAP_FIXED)
    const child = oracle.fork(0)
    oracle.write(child, at + page, 5)
    expect(oracle.read(0, at + page)).toEqual({ stamp: 5 })
    expect(oracle.madvise(0, at, 2 * page, c.MADV_DONTNEED)).toBe(0)
    expect(oracle.read(0, at + page)).toEqual({ stamp: 5 })
  })

  test('says which fault an access raises', () => {
    const oracle = make()
    const file = oracle.open(oracle.createObject('f', page + 1, new Map([[1, 9]])))
    const at = oracle.mmap(0, { address: base, length: 3 * page, prot: c.PROT_READ, flags: c.MAP_SHARED | c.MAP_FIXED, file })
    expect(oracle.read(0, at + page)).toEqual({ stamp: 9 })
    expect(oracle.read(0, at + 2 * page)).toEqual({ signal: c.SIGBUS, code: c.BUS_ADRERR, address: at + 2 * page })
    expect(oracle.write(0, at + 2 * page, 1)).toEqual({ signal: c.SIGSEGV, code: c.SEGV_ACCERR, address: at + 2 * page })
    expect(oracle.read(0, at + 3 * page)).toEqual({ signal: c.SIGSEGV, code: c.SEGV_MAPERR, address: at + 3 * page })
  })

  test('gives both answers after MADV_FREE until the next write', () => {
    const oracle = make()
    const at = map(oracle, 0, 1)
    oracle.write(0, at, 4)
    expect(oracle.madvise(0, at, page, c.MADV_FREE)).toBe(0)
    expect(oracle.read(0, at)).toEqual({ stamp: 4, otherwise: 0 })
    oracle.write(0, at, 5)
    expect(oracle.read(0, at)).toEqual({ stamp: 5 })
  })

  test('moves several mappings with their pages and gaps', () => {
    const oracle = make()
    const at = map(oracle, 0, 1)
    map(oracle, 2, 1, c.PROT_READ)
    oracle.write(0, at, 6)
    expect(oracle.mremap(0, at, 3 * page, 3 * page, c.MREMAP_MAYMOVE | c.MREMAP_FIXED, base + 10 * page)).toBe(base + 10 * page)
    expect(shape(oracle)).toEqual(['10-11 rw', '12-13 r-'])
    expect(oracle.read(0, base + 10 * page)).toEqual({ stamp: 6 })
  })

  test('grows and shrinks the heap', () => {
    const oracle = make()
    expect(oracle.brk(0, base + 1)).toBe(base + 1)
    expect(oracle.brk(0, base + 3 * page)).toBe(base + 3 * page)
    expect(shape(oracle)).toEqual(['0-3 rw'])
    expect(oracle.brk(0, base)).toBe(base)
    expect(shape(oracle)).toEqual([])
  })

  test('refuses more mappings than the limit', () => {
    const oracle = createOracle({ pageShift, base, limit: base + 64 * page, maxMapCount: 4 })
    for (let n = 0; n < 5; n++) expect(map(oracle, 2 * n, 1)).toBe(base + 2 * n * page)
    expect(map(oracle, 20, 1)).toBe(-c.ENOMEM)
  })
})

test('a hundred thousand operations over a thousand mappings take little time', () => {
  const oracle = createOracle()
  const page = 4096
  const at = oracle.mmap(0, { address: 0, length: 4000 * page, prot: RW, flags: PRIVATE })
  for (let n = 0; n < 100_000; n++) {
    const where = at + ((n * 7919) % 3999) * page
    oracle.write(0, where, n)
    if (n % 4 === 0) oracle.mprotect(0, where, page, n % 8 === 0 ? c.PROT_READ : RW)
  }
  expect(oracle.maps(0).length).toBeGreaterThan(500)
})
