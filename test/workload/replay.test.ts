// Replays of small programs on real threads: what they must find, in which order, and how they end.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { soundArchitectures } from '../../src/machine/shape.ts'
import { Result } from '../../src/workload/replay/layout.ts'
import { stampOf } from '../../src/workload/replay/perform.ts'
import type { ReplayResult } from '../../src/workload/replay/replay.ts'
import { replay } from '../../src/workload/replay/replay.ts'
import { verify } from '../../src/workload/replay/verify.ts'
import { pairs } from '../combinations.ts'
import { PAGE, replayed, Script, SHARED_ANONYMOUS } from './replay-programs.ts'

/** Machine operation that a recorded one became. */
function idOf(result: ReplayResult, source: number): number {
  return result.log.translation.operations.find((operation) => operation.source === source)!.id
}
function outcome(result: ReplayResult, source: number): { result: number; seen: number } {
  const at = idOf(result, source) * Result.size
  return { result: result.log.shared.results[at + Result.result]!, seen: result.log.shared.results[at + Result.seen]! }
}
async function verified(result: ReplayResult): Promise<void> {
  const verdict = await verify(result.log)
  expect(verdict.findings).toEqual([])
  expect(verdict.verified).toBe(true)
}

const COMBINATIONS = pairs.map(([design, arch]) => ({ arch, design }))

/** fork, copy-on-write on both sides, exec, a shared anonymous page, a private and a shared file, mremap, a heap, DONTNEED. */
function everything(): { script: Script; childRead: number; sharedRead: number; freshRead: number; movedRead: number } {
  const s = new Script()
  s.files.push(8 * PAGE)
  s.spaces[0]!.heapStart = 0x5000 * PAGE
  const t = s.task()
  s.mmap(t, 0, 0x1000, 16)
  s.mmap(t, 0, 0x2000, 4, 3, { flags: SHARED_ANONYMOUS })
  s.mmap(t, 0, 0x3000, 4, 3, { flags: 1, file: 0 })
  s.mmap(t, 0, 0x4000, 4, 3, { flags: 2, file: 0, offset: 2 * PAGE })
  s.add('brk', t, 0, { result: 0x5008 * PAGE, length: 8 * PAGE })
  for (let page = 0; page < 16; page++) s.write(t, 0, 0x1000 + page)
  s.write(t, 0, 0x2000)
  s.write(t, 0, 0x3003)
  s.write(t, 0, 0x4000)
  s.write(t, 0, 0x5002)
  const { child, space } = s.fork(t, 0)
  const childRead = s.read(child, space, 0x1001)
  const inChild = s.write(child, space, 0x1001)
  s.write(child, space, 0x2001)
  const mapped = s.write(child, space, 0x3002)
  s.read(child, space, 0x4001)
  const fresh = s.exec(child, space)
  s.mmap(child, fresh, 0x1000, 2)
  const freshRead = s.read(child, fresh, 0x1001)
  s.exit(child, fresh, true)
  const sharedRead = s.read(t, 0, 0x4000 + 0, { after: [mapped] })
  s.read(t, 0, 0x2001, { after: [inChild, mapped] })
  s.write(t, 0, 0x1002)
  s.add('mremap', t, 0, { address: 0x1000 * PAGE, length: 16 * PAGE, newLength: 20 * PAGE, result: 0x8000 * PAGE, flags: 1 })
  const movedRead = s.read(t, 0, 0x8002)
  s.add('madvise', t, 0, { address: 0x8004 * PAGE, length: 4 * PAGE, advice: 4 })
  s.read(t, 0, 0x8005)
  s.mprotect(t, 0, 0x8006, 2, 1)
  s.munmap(t, 0, 0x8001, 1)
  s.exit(t, 0, true)
  return { script: s, childRead, sharedRead, freshRead, movedRead }
}

describe('a replay', () => {
  it.each(COMBINATIONS)('runs everything under $design on $arch', async (combination) => {
    const { script, childRead, freshRead, movedRead } = everything()
    const result = await replayed(script.program(), combination)
    expect(result.completed).toBe(result.operations)
    expect(result.log.translation.lost).toEqual({})
    const stamp = (page: number): number =>
      stampOf(
        result.log.translation.operations.findLast(
          (op) => op.kind === 'touch' && op.write && op.task === 0 && script.operations[op.source]!.address === page * PAGE,
        )!.id,
      )
    expect(outcome(result, childRead).seen).toBe(stamp(0x1001))
    expect(outcome(result, freshRead).seen).toBe(0)
    expect(outcome(result, movedRead).seen).toBe(stamp(0x1002))
    await verified(result)
  })

  it('awaits two tasks that wait for each other on one CPU, and on several', async () => {
    const s = new Script()
    const [a, b] = [s.task(), s.task()]
    s.mmap(a, 0, 0x1000, 1)
    let last = 0
    for (let round = 0; round < 200; round++) {
      last = s.write(a, 0, 0x1000, { after: round === 0 ? [] : [last] })
      last = s.read(b, 0, 0x1000, { after: [last] })
    }
    s.exit(a, 0, false)
    s.exit(b, 0, true, [s.operations.length - 1])
    for (const cpus of [1, 3]) {
      const result = await replayed(s.program(), { cpus })
      for (const { index, task, after } of s.operations) {
        if (s.operations[index]!.kind === 'touch' && task === b) expect(outcome(result, index).seen).toBe(stampOf(idOf(result, after[0]!)))
      }
      await verified(result)
    }
  })

  it('repeats calls that must fail, and leaves the others out', async () => {
    const s = new Script()
    const t = s.task()
    const failed = { result: Number.NaN, repeatable: true }
    s.mmap(t, 0, 0x1000, 4)
    const odd = s.add('munmap', t, 0, { address: 0x1000 * PAGE + 8, length: PAGE, errno: 22, ...failed })
    const hole = s.mprotect(t, 0, 0x1002, 4, 1, { errno: 12, ...failed })
    const there = s.mmap(t, 0, 0x1001, 1, 3, { flags: 0x100022, errno: 17, ...failed })
    s.add('mmap', t, 0, { length: PAGE, flags: ANON, errno: 12, result: Number.NaN })
    s.write(t, 0, 0x1003, { denied: true })
    for (const arch of soundArchitectures) {
      const result = await replayed(s.program(), { arch: arch.name })
      expect([odd, hole, there].map((index) => outcome(result, index).result)).toEqual([-22, -12, -17])
      expect(result.log.translation.lost).toEqual({ 'failed mmap that need not fail again': 1 })
      const verdict = await verify(result.log)
      expect(verdict).toMatchObject({ findings: [], differing: 0 })
    }
  })

  it('reports running out of memory as an outcome', async () => {
    const s = new Script()
    const t = s.task()
    s.mmap(t, 0, 0x1000, 4000)
    for (let page = 0; page < 2000; page++) s.write(t, 0, 0x1000 + page)
    const { child, space } = s.fork(t, 0)
    s.write(child, space, 0x1000)
    s.exit(child, space, true)
    s.exit(t, 0, true)
    const result = await replayed(s.program(), { memory: 2 ** 22 })
    const verdict = await verify(result.log)
    expect(verdict.findings).toEqual([])
    expect(verdict.outOfMemory).toBeGreaterThan(900)
  })

  it('refuses a memory that not even the beginning fits into, and an unknown design', async () => {
    const s = new Script()
    s.mmap(s.task(), 0, 0x1000, 1)
    await expect(replayed(s.program(), { memory: 1000 })).rejects.toThrow(/memory must be a whole number/)
    await expect(replayed(s.program(), { design: 'nonsense' })).rejects.toThrow(/unknown design/)
  })

  it('keeps addresses that fit, moves together those that do not, and says which it cannot hold', async () => {
    const s = new Script()
    const t = s.task()
    for (let slot = 0; slot < 20; slot++) s.mmap(t, 0, slot * 2 ** 28 + 0x100, 2)
    for (let slot = 0; slot < 20; slot++) s.write(t, 0, slot * 2 ** 28 + 0x101)
    const moved = await replayed(s.program())
    expect(moved.log.translation.map.moved).toBe(true)
    await verified(moved)
    const big = new Script()
    big.mmap(big.task(), 0, 0x1000, 2 ** 34)
    expect(await replay(big.program(), { design: 'mmap-lock', arch: 'x86_64' })).toMatchObject({
      skipped: expect.stringMatching(/pieces of 2\^18 pages/),
    })
    // Twenty places in 32 bits: only in pieces of less than a gigabyte.
    const narrow = await replayed(s.program(), { arch: 'x86-pae' })
    expect(narrow.log.translation.map.moved).toBe(true)
    expect(narrow.log.translation.map.place(19 * 2 ** 40 + 0x101000)).toBeLessThan(2 ** 32)
    await verified(narrow)
    expect(await replay(big.program(), { design: 'mmap-lock', arch: 'x86-pae' })).toMatchObject({
      skipped: expect.stringMatching(/pieces of 2\^18 pages/),
    })
  })

  it('rounds native addresses to larger pages and counts what that loses', async () => {
    const s = new Script()
    const [a, b] = [s.task(), s.task()]
    s.mmap(a, 0, 0x1000, 4)
    s.mmap(b, 0, 0x1004, 20)
    const first = s.write(a, 0, 0x1001)
    s.read(b, 0, 0x1005, { after: [first] })
    s.write(b, 0, 0x1012)
    s.munmap(a, 0, 0x1000, 4)
    s.mprotect(b, 0, 0x1004, 20, 1)
    const result = await replayed(s.program(), { arch: 'powerpc64-hash-64k', pageMap: 'round' })
    expect(result.pageBytes).toBe(65536)
    expect(result.log.translation.operations.map(({ address }) => address % 65536)).toEqual(result.log.translation.operations.map(() => 0))
    expect(outcome(result, s.operations[3]!.index).seen).toBe(stampOf(idOf(result, first)))
    expect(Object.values(result.log.translation.lost).length).toBeGreaterThan(0)
    await verified(result)
  })

  it('takes the disk as long as it is told to', async () => {
    const s = new Script()
    s.files.push(4 * PAGE)
    const t = s.task()
    s.mmap(t, 0, 0x1000, 4, 1, { flags: 2, file: 0 })
    for (let page = 0; page < 4; page++) s.read(t, 0, 0x1000 + page)
    const result = await replayed(s.program(), { diskLatency: 5000 })
    expect(result.counters.majorFaults).toBe(4)
    expect(result.histograms.touch!.total).toBeGreaterThan(4 * 4.5e6)
    await verified(result)
    expect((await replayed(s.program())).counters.majorFaults).toBe(0)
  })

  it('reports what a design counts', async () => {
    const s = new Script()
    const a = s.task()
    const b = s.task()
    s.mmap(a, 0, 0x1000, 64)
    for (let page = 0; page < 64; page++) s.write(page % 2 === 0 ? a : b, 0, 0x1000 + page)
    const { counters } = await replayed(s.program(), { design: 'speculative' })
    expect(counters.faults).toBeGreaterThan(0)
    expect((counters.design['single-threaded'] ?? 0) + (counters.design.attempts ?? 0)).toBe(counters.faults)
    expect((await replayed(s.program(), { design: 'vma-lock' })).counters.design).toEqual({})
  })

  it('stops when it is told to, with what it has', async () => {
    const s = new Script()
    const t = s.task()
    s.mmap(t, 0, 0x1000, 64)
    for (let at = 0; at < 300_000; at++) s.write(t, 0, 0x1000 + (at % 64))
    const stop = new AbortController()
    const result = await replayed(s.program(), { signal: stop.signal, progress: () => stop.abort() })
    expect(result.partial).toBe(true)
    expect(result.completed).toBeLessThan(result.operations)
    await verified(result)
  })

  it('give up where CPUs wait for each other for ever', async () => {
    const text = readFileSync(fileURLToPath(new URL('../../examples/my-design/step-3.ts', import.meta.url)), 'utf8')
    const lowers = '  smpStoreRelease(thisCpu() + HAND, 0)\n'
    expect(text).toContain(lowers)
    const directory = mkdtempSync(join(tmpdir(), 'gracewalk-'))
    try {
      const design = join(directory, 'never-lowers.ts')
      writeFileSync(design, text.replace(lowers, ''))
      const s = new Script()
      const t = s.task()
      s.mmap(t, 0, 0x1000, 4)
      s.write(t, 0, 0x1000)
      s.add('munmap', t, 0, { address: 0x1000 * PAGE, length: 4 * PAGE })
      const replaying = replayed(s.program(), { design, stallAfter: 500 })
      await expect(replaying).rejects.toThrow(/never-lowers\.ts on x86_64: no operation has completed for 0\.5 s: \d of \d are done/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

const ANON = 0x22
