// How long interrupts are off: counted in steps, for each CPU and place, in whatever way executions are explored.
import { describe, expect, it } from 'vitest'
import { mergeSections } from '../../../src/check/explore/irq-off.ts'
import { check, SmapsWalk, scenario } from '../../../src/check.ts'
import { coverage } from '../../../src/report/check-report.ts'
import type { CheckResult } from '../../../src/scenario/runner/check.ts'

const ON = { design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch' }

describe('the longest section with interrupts off', () => {
  it('is that of a walker that turns them off for each table', async () => {
    const { irqOff, ...report } = await check('smaps-irq-off-vs-munmap', ON)
    // Two upper entries, the PMD twice, one entry, and on again.
    expect(irqOff[0]).toEqual({ cpu: 0, place: expect.stringMatching(/^smapsTable proc\/smaps\.ts:\d+$/), steps: 6 })
    const text = coverage({ report: { ...report, irqOff } } as unknown as CheckResult)
    expect(text).toContain(`longest section with interrupts off: 6 steps of CPU 0 (${irqOff[0]?.place})`)
  })

  it('is none of a walker that holds RCU, or mmap_lock', async () => {
    for (const name of ['smaps-under-rcu-vs-munmap', 'smaps-under-mmap-lock-vs-munmap']) {
      const { irqOff } = await check(name, { ...ON, mode: 'random', executions: 50 })
      expect(irqOff.filter(({ cpu }) => cpu === 0)).toEqual([])
      expect(irqOff.find(({ place }) => place.startsWith('spinLockIrqsave'))?.cpu).toBe(1)
    }
  })

  it('is the longest of several, not their sum', async () => {
    const twoTables = scenario({
      name: 'two-tables',
      question: '?',
      asked: 'here',
      cpus: 2,
      setUp: (stage) => {
        const mm = stage.newMm()
        const pages = stage.tablePages + 1
        stage.now(0, mm.mmap(stage.table(4), pages))
        for (const table of [4, 5]) stage.now(0, mm.write(stage.table(table), 1))
        return { calls: [[mm.smaps(stage.table(4), pages, SmapsWalk.irqOff)], [mm.read(stage.table(4))]] }
      },
      expect: 'safe',
    })
    const { irqOff } = await check(twoTables, { ...ON, mode: 'random', executions: 5 })
    // All four entries of the first table; the second has one.
    expect(irqOff[0]?.steps).toBe(6 + 3)
  })

  it('is the longer of two', () => {
    const of = (cpu: number, steps: number): { cpu: number; place: string; steps: number } => ({ cpu, place: 'f a.ts:1', steps })
    expect(mergeSections([of(0, 2), of(1, 3), of(0, 5)])).toEqual([of(0, 5), of(1, 3)])
  })
})
