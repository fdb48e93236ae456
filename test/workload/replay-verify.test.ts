// The verification notices what is wrong: one altered word of a log at a time. And it allows what a race allows, no more.
import { beforeAll, describe, expect, it } from 'vitest'
import type { Verdict } from '../../src/workload/replay/findings.ts'
import { Kind, Op, Result } from '../../src/workload/replay/layout.ts'
import { stampOf } from '../../src/workload/replay/perform.ts'
import type { ReplayLog } from '../../src/workload/replay/replay.ts'
import { verify } from '../../src/workload/replay/verify.ts'
import { PAGE, replayed, Script } from './replay-programs.ts'

const WORDS = Result.size

/** A log that shares nothing with `log` but what no test changes. */
function copy(log: ReplayLog): ReplayLog {
  const { shared } = log
  return {
    ...log,
    shared: { ...shared, results: shared.results.slice(), control: shared.control.slice() },
    ends: log.ends.map((end) => ({ ...end, vmas: end.vmas.slice(), pages: end.pages.slice() })),
    cached: log.cached.slice(),
    balance: { ...log.balance, objects: { ...log.balance.objects } },
  }
}

describe('one altered word', () => {
  let log: ReplayLog
  let written = 0
  let read = 0
  let change = 0
  beforeAll(async () => {
    const s = new Script()
    s.files.push(4 * PAGE)
    const t = s.task()
    s.mmap(t, 0, 0x1000, 8)
    s.mmap(t, 0, 0x2000, 4, 3, { flags: 1, file: 0 })
    written = s.write(t, 0, 0x1001)
    read = s.read(t, 0, 0x1001)
    change = s.mprotect(t, 0, 0x1004, 2, 1)
    s.write(t, 0, 0x2001)
    const { child, space } = s.fork(t, 0)
    s.write(child, space, 0x1001)
    s.exit(child, space, true)
    s.exit(t, 0, true)
    log = (await replayed(s.program())).log
  })

  const idOf = (source: number): number => log.translation.operations.find((operation) => operation.source === source)!.id
  const altered = async (alter: (log: ReplayLog) => void): Promise<Verdict> => {
    const changed = copy(log)
    alter(changed)
    return verify(changed)
  }
  const end = (of: ReplayLog, space = 0): ReplayLog['ends'][number] => of.ends.find((one) => one.space === space)!

  it('of none: verified', async () => {
    expect(await altered(() => {})).toMatchObject({ verified: true, findings: [], operations: 10, reads: 1, spaces: 2 })
  })
  it('what a read saw', async () => {
    const verdict = await altered(({ shared }) => (shared.results[idOf(read) * WORDS + Result.seen]! += 1))
    expect(verdict.findings).toMatchObject([
      { kind: 'value', text: expect.stringMatching(/read of 0x1001000: expected the stamp of operation 2/) },
    ])
    expect(verdict.verified).toBe(false)
  })
  it('a touch that failed', async () => {
    const verdict = await altered(({ shared }) => (shared.results[idOf(written) * WORDS + Result.result] = -1))
    expect(verdict.findings[0]).toMatchObject({ kind: 'fault', text: expect.stringMatching(/expected success, found SIGSEGV/) })
  })
  it('a call that failed', async () => {
    const verdict = await altered(({ shared }) => (shared.results[idOf(change) * WORDS + Result.result] = -22))
    expect(verdict.findings[0]).toMatchObject({
      kind: 'result',
      text: expect.stringMatching(/mprotect 0x1004000\+0x2000: expected 0, found errno 22/),
    })
  })
  it('a page at the end, in parent and child', async () => {
    for (const space of [0, 1]) {
      const verdict = await altered((of) => (end(of, space).pages[1]! ^= 1))
      expect(verdict.findings).toMatchObject([{ kind: 'page', text: expect.stringMatching(/page 0x\w+: expected the stamp/) }])
    }
  })
  it('a page that is gone', async () => {
    const verdict = await altered((of) => end(of).pages.splice(0, 2))
    expect(verdict.findings.map(({ kind }) => kind).sort()).toEqual(['counter', 'page'])
  })
  it('a bound, a right, a file offset of a mapping', async () => {
    const bound = await altered((of) => (end(of).vmas[1]! -= 1))
    expect(bound.findings[0]).toMatchObject({ kind: 'mapping', text: expect.stringMatching(/expected rw-p anonymous, found nothing/) })
    const right = await altered((of) => (end(of).vmas[2]! ^= 2))
    expect(right.findings).toMatchObject([{ kind: 'mapping', text: expect.stringMatching(/expected rw-p anonymous, found r--p/) }])
    const last = end(log).vmas.length - 5
    expect((await altered((of) => (end(of).vmas[last + 3]! += 1))).findings).toMatchObject([{ kind: 'mapping' }])
    expect((await altered((of) => (end(of).vmas[last + 4]! += 1))).findings).toMatchObject([{ kind: 'mapping' }])
  })
  it('each counter', async () => {
    for (const counter of ['mapCount', 'totalVm', 'resident', 'leftResident', 'leftTableWords'] as const) {
      const verdict = await altered((of) => (end(of)[counter] += 1))
      expect(verdict.findings, counter).toMatchObject([{ kind: 'counter' }])
    }
  })
  it('a page of the page cache', async () => {
    const at = log.cached.findIndex((value, index) => index % 3 === 1 && value === 1)
    const verdict = await altered((of) => ((of.cached as number[])[at + 1] = 12345))
    expect(verdict.findings).toMatchObject([{ kind: 'page', text: expect.stringMatching(/page 1 of file0/) }])
  })
  it('what is left', async () => {
    expect((await altered((of) => Object.assign(of.balance, { freeFrames: of.balance.freeFrames - 1 }))).findings).toMatchObject([
      { kind: 'leak', text: expect.stringMatching(/1 frames are lost/) },
    ])
    expect((await altered((of) => Object.assign(of.balance.objects, { vma: 1 }))).findings).toMatchObject([{ kind: 'leak' }])
    expect((await altered((of) => Object.assign(of.balance, { rcuCallbacks: 1 }))).findings).toMatchObject([{ kind: 'leak' }])
    expect((await altered((of) => (of.ends as unknown[]).splice(0, 1))).findings[0]).toMatchObject({ kind: 'leak' })
  })
})

describe('races', () => {
  /** Two tasks, the first of which maps pages; `race` gives each one operation, which the log then shows as overlapping. */
  async function raced(
    race: (s: Script, a: number, b: number) => [number, number],
    alter: (log: ReplayLog, a: number, b: number) => void,
    overlapping = true,
  ): Promise<Verdict> {
    const s = new Script()
    const [a, b] = [s.task(), s.task()]
    s.mmap(a, 0, 0x1000, 4)
    const first = s.write(a, 0, 0x1000)
    s.operations[first]!.after = []
    const [x, y] = race(s, a, b)
    s.operations[y]!.after = [x]
    const later = s.read(a, 0, 0x1000, { after: [y] })
    s.exit(a, 0, false)
    s.exit(b, 0, true, [later + 1])
    const { log } = await replayed(s.program())
    const id = (source: number): number => log.translation.operations.find((operation) => operation.source === source)!.id
    // Pull the beginning of the second one in front of the end of the first.
    const { results } = log.shared
    const [xa, yb] = [id(x) * WORDS + Result.after, id(y) * WORDS + Result.before]
    if (overlapping) [results[xa], results[yb]] = [results[yb]!, results[xa]!]
    alter(log, id(x), id(y))
    return verify(log)
  }
  const seenLast = (log: ReplayLog, value: number): void => {
    const at = log.translation.operations.find((operation) => operation.kind === 'touch' && !operation.write && operation.task === 0)!.id
    log.shared.results[at * WORDS + Result.seen] = value
    for (const end of log.ends) if (end.pages.length > 0) end.pages[1] = value
  }

  it('of two writes: either is there afterwards, the one before is not', async () => {
    const race = (s: Script, a: number, b: number): [number, number] => [s.write(a, 0, 0x1000), s.write(b, 0, 0x1000)]
    expect(await raced(race, (log, a) => seenLast(log, stampOf(a)))).toMatchObject({ findings: [], raced: 1 })
    expect(await raced(race, (log, _a, b) => seenLast(log, stampOf(b)))).toMatchObject({ findings: [] })
    expect((await raced(race, (log, a) => seenLast(log, stampOf(a) - 1))).verified).toBe(false)
    expect((await raced(race, (log, a) => seenLast(log, stampOf(a)), false)).verified).toBe(false)
  })

  it('of a write and a read: it may see what was there before', async () => {
    const race = (s: Script, a: number, b: number): [number, number] => [s.write(a, 0, 0x1000), s.read(b, 0, 0x1000)]
    const see = (value: (a: number) => number) => (log: ReplayLog, a: number, b: number) => {
      log.shared.results[b * WORDS + Result.seen] = value(a)
    }
    expect(
      await raced(
        race,
        see((a) => stampOf(a) - 1),
      ),
    ).toMatchObject({ findings: [], explained: 1 })
    expect(
      (
        await raced(
          race,
          see(() => 0),
        )
      ).verified,
    ).toBe(false)
    expect(
      (
        await raced(
          race,
          see((a) => stampOf(a) - 1),
          false,
        )
      ).verified,
    ).toBe(false)
  })

  it('of a touch and an unmapping: it may fail or not', async () => {
    const race = (s: Script, a: number, b: number): [number, number] => [s.munmap(a, 0, 0x1002, 1), s.write(b, 0, 0x1002)]
    expect(await raced(race, () => {})).toMatchObject({ findings: [] })
    const succeeds = (log: ReplayLog, _a: number, b: number): void => {
      log.shared.results[b * WORDS + Result.result] = 0
    }
    expect(await raced(race, succeeds)).toMatchObject({ findings: [], explained: 1 })
    expect((await raced(race, succeeds, false)).verified).toBe(false)
  })

  it('of two protections: either holds afterwards, nothing else', async () => {
    const race = (s: Script, a: number, b: number): [number, number] => [s.mprotect(a, 0, 0x1002, 1, 1), s.mprotect(b, 0, 0x1002, 1, 5)]
    const rights =
      (value: number) =>
      (log: ReplayLog): void => {
        const { vmas } = log.ends.find((end) => end.vmas.length > 0)!
        for (let at = 0; at < vmas.length; at += 5) if (vmas[at]! % 16 === 2) vmas[at + 2] = (vmas[at + 2]! & ~7) | value
      }
    expect((await raced(race, rights(1))).findings).toEqual([])
    expect((await raced(race, rights(5))).findings).toEqual([])
    expect((await raced(race, rights(2))).findings).toMatchObject([{ kind: 'mapping' }])
    expect((await raced(race, rights(1), false)).verified).toBe(false)
  })

  it('really happen, and are explained', async () => {
    const s = new Script()
    const tasks = [s.task(), s.task()] as const
    const map = s.mmap(tasks[0], 0, 0x1000, 8)
    s.write(tasks[1], 0, 0x1000, { after: [map] })
    for (let round = 0; round < 4000; round++) {
      const page = 0x1000 + (round % 8)
      s.write(tasks[0], 0, page)
      s.write(tasks[1], 0, page)
      s.read(tasks[0], 0, page)
      if (round % 5 === 0) s.add('madvise', tasks[1], 0, { address: page * PAGE, length: PAGE, advice: 4 })
      if (round % 7 === 0) s.mprotect(tasks[1], 0, page, 1, round % 2 === 0 ? 1 : 3)
      if (round % 11 === 0) s.mmap(tasks[0], 0, page, 2)
      if (round % 13 === 0) s.munmap(tasks[1], 0, page, 1)
    }
    let raced = 0
    for (let attempt = 0; attempt < 10 && (attempt < 2 || raced === 0); attempt++) {
      const { log } = await replayed(s.program(), { design: attempt % 2 === 0 ? 'mmap-lock' : 'vma-lock' })
      const verdict = await verify(log)
      expect(verdict.findings).toEqual([])
      raced += verdict.raced
    }
    expect(raced).toBeGreaterThan(0)
  })
})

it('kinds of operations have the numbers of their names', () => {
  expect(Kind.touch).toBe(0)
  expect(Op.kind).toBe(0)
})
