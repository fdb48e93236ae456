// Counterexamples as they are printed, word for word: whoever changes the form sees here what a reader will see.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Counterexample,
  counterexample,
  counterexampleJson,
  minimise,
  readLayouts,
  record,
} from '../../src/check/counterexample/index.ts'
import { explore } from '../../src/check/explore/index.ts'
import { counterexampleColumns } from '../../src/report/columns.ts'
import { palette } from '../../src/report/table.ts'
import { checkCell, explain } from '../../src/scenario/runner/check.ts'
import { cellNamed } from '../../src/scenario/runner/question.ts'
import {
  immediateTree,
  lockCycle,
  lostUpdate,
  openTiny,
  ownLocks,
  type Race,
  removeVariants,
  walkerBesideMunmap,
} from '../check/counterexample/races.ts'
import type { Tiny } from '../check/tiny-machine.ts'

async function exampleOf(race: Race, all = false): Promise<Counterexample> {
  const report = explore(race.model, { mode: 'check', milliseconds: 30_000 })
  expect(report.verdict).toBe('violation')
  const minimised = minimise(race.model, report.path, { watch: race.watch, milliseconds: 60_000 })
  const recording = record(race.model, race.recorder, minimised.path)
  const { facts, labels } = race
  return counterexample({
    facts,
    recording,
    path: minimised.path,
    minimised,
    layouts: await readLayouts(race.tree),
    all,
    ...(labels && { labels }),
  })
}

/** The text with the kernel's line numbers taken out: its files change. */
function golden(example: Counterexample): string {
  return `\n${counterexampleColumns(example)
    .join('\n')
    .replace(/(\w):\d+\b/g, '$1:#')}\n`
}

let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
})
afterAll(removeVariants)

describe('a table freed at once under a walker', () => {
  let example: Counterexample
  beforeAll(async () => {
    example = await exampleOf(await walkerBesideMunmap(await immediateTree()))
  })

  it('tells the race in its order', () => {
    const story = counterexampleColumns(example, { width: 0 }).map((line) => line.trim().replace(/\s+/g, ' '))
    let at = -1
    for (const line of [
      /^smaps-munmap \(vma-lock, x86_64, immediate\): violation$/,
      /^use of freed memory: CPU 0 reads pud table 1\[511\]$/,
      /^found by use-after-free$/,
      /^1 preemption, \d+ steps/,
      /^CPU 0 CPU 1$/,
      /^smaps\(0x\w+\)$/,
      /^rcuReadLock:\d+ rcu_read_lock$/,
      /^below:\d+ pgd table 1\[255\] -> pud table 1$/,
      /^munmap\(0x\w+, 1 page\)$/,
      /^downWriteNested:\d+ locked mm 1.mmapLock$/,
      /^\.\.\. \d+ steps in \w+ to \w+$/,
      /^freeTable:\d+ pgd table 1\[255\] = none \(was pud table 1\)$/,
      /^ipiAndWait:\d+ sends an IPI to CPU 0$/,
      /^<irq> an IPI arrives$/,
      /^interrupt:\d+ cpu 0.ipiAcks = 1 \(was 0\)$/,
      /^<\/irq>$/,
      /^ipiAndWait:\d+ cpu 0.ipiAcks -> 1$/,
      /^freePage:\d+ freed pud table 1$/,
      /^upRead:\d+ unlocked mm 1.mmapLock$/,
      /^munmap returns 0$/,
      /^below:\d+ pud table 1\[511\] -> poison$/,
      /^\*\*\* use of freed memory: CPU 0 reads pud table 1\[511\]$/,
      /^At that moment:$/,
      /^CPU 0 is in the kernel, holds an RCU read-side section$/,
      /^CPU 1 holds no lock \(returned\)$/,
      /^Before it:$/,
      /^CPU 1 freed pud table 1 at freePage memory\/page-alloc.ts:\d+$/,
      /^Objects:$/,
      /^pud table 1 at 0x\w+ \(page \d+\), from the set-up$/,
      /^Files:$/,
      /^pagetable\/levels.ts: below$/,
    ]) {
      const next = story.findIndex((text, i) => i > at && line.test(text))
      expect(next, `${line} behind line ${at}:\n${story.join('\n')}`).toBeGreaterThan(at)
      at = next
    }
  })

  it('indents what an interrupt does, in the column of its CPU', () => {
    const lines = counterexampleColumns(example)
    const arrival = lines.indexOf('  <irq> an IPI arrives')
    const end = lines.indexOf('  </irq>')
    expect(arrival).toBeGreaterThan(0)
    expect(end).toBeGreaterThan(arrival + 2)
    for (const line of lines.slice(arrival + 1, end)) expect(line).toMatch(/^ {4}\S| {6}\S/)
  })

  it('fits its width, in two columns of a terminal and of any other', () => {
    for (const width of [60, 80, 120])
      for (const line of counterexampleColumns(example, { width })) expect(line.length).toBeLessThanOrEqual(width)
  })

  it('has each step on one line where the width is not limited', () => {
    const lines = counterexampleColumns(example, { width: 0 })
    expect(lines.some((line) => /freeTable:\d+ {2}pgd table 1\[255\] = none \(was pud table 1\)$/.test(line))).toBe(true)
  })

  it('has colour only when asked', () => {
    expect(counterexampleColumns(example).join('')).not.toContain('\u001b')
    expect(counterexampleColumns(example, { colours: palette(true) }).join('')).toContain('\u001b')
  })

  it('says the same as JSON', () => {
    const json = JSON.parse(JSON.stringify(counterexampleJson(example))) as ReturnType<typeof counterexampleJson>
    expect(json).toMatchObject({
      format: 1,
      scenario: 'smaps-munmap',
      freeing: 'immediate',
      detector: 'use-after-free',
      message: 'use of freed memory: CPU 0 reads pud table 1[511]',
      related: [{ text: 'freed pud table 1', agent: 1, place: expect.stringMatching(/^freePage memory\/page-alloc.ts:\d+$/) }],
      waiting: [],
      cpus: 2,
    })
    const moment = json.events.find(({ index }) => index === json.moment)
    expect(moment).toMatchObject({ cpu: 0, kind: 'step', text: 'pud table 1[511] -> poison', shown: true, rcu: 1, interrupt: false })
    expect(moment?.place).toMatchObject({ file: 'pagetable/levels.ts', function: 'below' })
    // Every step of the path is there, each once.
    const steps = json.events.filter(({ kind }) => kind === 'step' || kind === 'interrupt-begins')
    expect(steps.map(({ step }) => step)).toEqual(steps.map((_, i) => i))
    expect(steps.length).toBe(json.minimised?.steps[1])
  })

  it('folds no step when all are asked for, and counts those that it folds', async () => {
    const all = await exampleOf(await walkerBesideMunmap(await immediateTree()), true)
    expect(counterexampleColumns(all).join('\n')).not.toContain('... ')
    expect(all.lines.length).toBeGreaterThan(example.lines.length * 2)
  })
})

it('says what was set up, and which object has the memory of which', async () => {
  const combination = { design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch', index: 'rbtree' }
  const cell = await cellNamed({ file: null, scenario: 'rbtree-fault-vs-reuse', variant: null, combination })
  const { report } = await checkCell(cell, { milliseconds: 30_000 })
  const { counterexample: told } = await explain(cell, report)
  const lines = counterexampleColumns(told)
  expect(lines).toContain('Set up (pages are called by their numbers):')
  expect(lines.filter((line) => /^ {2}CPU \d mmap\(0x\w+, \d pages?\)$/.test(line)).length).toBeGreaterThan(0)
  expect(lines.join(' ').replace(/\s+/g, ' ')).toMatch(
    /vma 3 at 0x\w+, allocated by CPU 1 in kmemCacheAlloc:\d+, in the memory that was vma 1/,
  )
})

it('shows who waits for whom in a deadlock', async () => {
  expect(golden(await exampleOf(await lockCycle(tiny)))).toMatchInlineSnapshot(`
    "
    tiny: violation
      deadlock: CPU 0 at spinLock sync/spinlock.ts:#: cmpxchg; CPU 1 at spinLock
        sync/spinlock.ts:#: cmpxchg
      1 preemption, 2 steps

    CPU 0                                    CPU 1
    ---------------------------------------  ---------------------------------------
    reclaim()
      spinLock:#  locked zone.lock

                                             allocate()
                                               spinLock:#  locked lru.lock

      spinLock:#
        waits for lru.lock for ever (CPU 1
          holds it)

                                               spinLock:#
                                                 waits for zone.lock for ever (CPU 0
                                                   holds it)

    *** at the end: deadlock

    At the end:
      CPU 0 is in the kernel, holds zone.lock (spinLock:#)
      CPU 1 is in the kernel, holds lru.lock (spinLock:#)
    Files:
      sync/spinlock.ts: spinLock
    word -> value is read, word = value written; "..." stands for steps that concern
      this CPU alone.
    "
  `)
})

it('shows three CPUs and what only the end of the execution shows', async () => {
  expect(golden(await exampleOf(lostUpdate(tiny, 3)))).toMatchInlineSnapshot(`
    "
    tiny: violation
      an update was lost: 3 calls counted 2
      1 preemption, 30 steps

    CPU 0                      CPU 1                      CPU 2
    -------------------------  -------------------------  -------------------------
    mmap()
      ... 5 steps
      mm.mapCount = 1 (was 0)
      ... 4 steps
    mmap returns

                               mmap()
                                 ... 4 steps
                                 mm.mapCount -> 1

                                                          mmap()
                                                            ... 4 steps
                                                            mm.mapCount -> 1
                                                            mm.mapCount = 2 (was 1)
                                                            ... 4 steps
                                                          mmap returns

                                 mm.mapCount = 2 (as
                                   before)
                                 ... 4 steps
                               mmap returns

    *** at the end: an update was lost: 3 calls counted 2

    At the end nobody holds a lock or is in an RCU section.
    word -> value is read, word = value written; "..." stands for steps that concern
      this CPU alone.
    "
  `)
})

it('marks the second of two plain accesses without order', async () => {
  expect(golden(await exampleOf(await ownLocks(tiny)))).toMatchInlineSnapshot(`
    "
    tiny: violation
      a plain load of vma.flags by CPU 1 (step 8, (not compiled)) is not ordered
        with a plain store of it by CPU 0 (step 3)
      0 preemptions, 9 steps; found with 0 preemptions, 10 steps

    CPU 0                                    CPU 1
    ---------------------------------------  ---------------------------------------
    mprotect()
      ... 3 steps
      spinLock:#  locked mm.mmapLock
      vma.flags = 3 (was 0)
      spinUnlock:#  unlocked mm.mmapLock
    mprotect returns

                                             fault()
                                               ... 3 steps
                                               spinLock:#  locked vma.lock
                                               vma.flags -> 3
                                             *** a plain load of vma.flags by CPU 1

    At that moment:
      CPU 0 holds no lock (returned)
      CPU 1 is in the kernel, holds vma.lock (spinLock:#)
    Files:
      sync/spinlock.ts: spinLock, spinUnlock
    word -> value is read, word = value written; "..." stands for steps that concern
      this CPU alone.
    "
  `)
})
