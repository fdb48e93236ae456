// Ablation: what a cell executes, the order in which scenarios are asked, and each verdict for a change of which it is known.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AblationSite } from '../../src/check/ablate/index.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { type Ablated, ablateSites, kernelSites, sitesOf } from '../../src/scenario/runner/ablation.ts'
import { inOrder, openKillRecord } from '../../src/scenario/runner/ablation-order.ts'
import { cellsOf } from '../../src/scenario/runner/cells.ts'
import { openPool, type Pool, WORKER_SILENT } from '../../src/scenario/runner/pool.ts'
import type { Scenario } from '../../src/scenario/scenario.ts'

const { sites, files } = kernelSites()
const scenarioNamed = (name: string): Scenario => SCENARIOS.find((one) => one.name === name)!
const siteWith = (file: string, operator: string, text: string): AblationSite =>
  sites.find((site) => site.file === file && site.operator === operator && site.text.startsWith(text))!

let pool: Pool
beforeAll(() => {
  pool = openPool(1)
})
afterAll(() => pool.close())

const ablated = async (site: AblationSite, names: readonly string[], siteTime = 60_000): Promise<Ablated> => {
  const options = { jobs: 1, time: 30_000, siteTime }
  return (await ablateSites([site], files, names.map(scenarioNamed), pool, options))[0]!
}

describe('what a cell executes', () => {
  it('is told apart by place, not by function', async () => {
    const places = ['pagetable/mmu-gather.ts', 'fault/copy-on-write.ts', 'sync/srcu.ts', 'sync/spinlock.ts', 'syscall/mmap.ts'].flatMap(
      (file) => sites.filter((site) => site.file === file),
    )
    const executed = (name: string): Promise<string[]> =>
      sitesOf(places, files, [{ ...scenarioNamed(name), designs: ['mmap-lock'], archs: ['x86_64'], variants: [] }], pool, {
        jobs: 1,
        time: 1000,
        siteTime: 1000,
      }).then((found) => found.map(({ id }) => id))
    const [lock, munmap] = [await executed('spinlock-exclusion'), await executed('fault-vs-munmap')]
    expect(new Set(lock.map((id) => id.split(':')[0]))).toEqual(new Set(['sync/spinlock.ts']))
    expect(munmap.some((id) => id.startsWith('fault/copy-on-write.ts'))).toBe(false)
    // The set-up maps what is to be unmapped.
    expect(places.some(({ file }) => file === 'syscall/mmap.ts')).toBe(true)
    expect(munmap.some((id) => id.startsWith('syscall/mmap.ts'))).toBe(false)
    // The gather gives up when it has no memory, which does not happen here.
    const gather = places.filter(({ file }) => file === 'pagetable/mmu-gather.ts').map(({ id }) => id)
    const some = gather.filter((id) => munmap.includes(id))
    expect(some.length).toBeGreaterThan(0)
    expect(some.length).toBeLessThan(gather.length)
  })
})

describe('the order', () => {
  const site = siteWith('sync/srcu.ts', 'lock', 'spinLock')
  const cells = cellsOf(SCENARIOS).map((cell) => ({ cell, milliseconds: 1 }))
  const names = (record = openKillRecord()): string[] => inOrder(site, cells, files, record).map(({ cell }) => cell.scenario.name)

  it('begins with scenarios of which a broken variant is near', () => {
    const near = siteWith('design/vma-lock.ts', 'recheck', 'owner !== mm')
    const first = inOrder(near, cells, files, openKillRecord())[0]!.cell.scenario
    expect(first.variants?.some(({ edits }) => edits.some(({ file }) => file === 'design/vma-lock.ts'))).toBe(true)
  })

  it('puts first what noticed a neighbour, and keeps every cell', () => {
    const record = openKillRecord()
    const last = names().at(-1)!
    for (let times = 0; times < 50; times++) record.noticed(site, last)
    expect(names(record).indexOf(last)).toBeLessThan(names().indexOf(last))
    expect(names(record)).toHaveLength(cells.length)
  })
})

describe('a verdict', () => {
  it('is load-bearing, with the path that shows it, where a scenario fails', async () => {
    const site = siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown')
    const { verdict, killer } = await ablated(site, ['user-access-vs-munmap'])
    expect(verdict).toBe('load-bearing')
    expect(killer!.cell).toMatch(/^user-access-vs-munmap \[/)
    expect(killer!.path.length).toBeGreaterThan(0)
  })

  it('is load-bearing where a call goes round for ever without a step', async () => {
    const site = sites.find(({ file, operator, text }) => file === 'vma/rb-balance.ts' && operator === 'publish' && text.includes('inner'))!
    const { verdict, killer } = await ablated(site, ['rbtree-walk-ends'])
    expect(verdict).toBe('load-bearing')
    expect(killer!.message).toMatch(/^CPU 1 .*: it goes round for ever: \d+ plain loads without a step$/)
  })

  it('is that it survived exhaustively only where every cell was searched to its end', async () => {
    // Who finds its grace period over already waits for one more than is needed.
    const site = siteWith('sync/rcu.ts', 'recheck', 'gracePeriodDone(snap)')
    const names = ['rcu-reader-vs-updater']
    const { verdict, executed, bounded, proved } = await ablated(site, names)
    expect(executed).toBeGreaterThan(0)
    expect([verdict, bounded, proved]).toEqual(['survived exhaustively', executed, executed])
    const cut = await ablated(site, names, 0)
    expect(cut.verdict).toBe('out of time')
    expect(cut.proved).toBe(0)
  })

  it('is that it was not executed where no scenario given does', async () => {
    const site = siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown')
    expect(await ablated(site, ['spinlock-exclusion'])).toMatchObject({ verdict: 'not executed', executed: 0, killer: null })
  })

  it('is that a Worker went silent, which is not noticing', async () => {
    const silence = Object.assign(new Error('nothing was heard of it'), { name: WORKER_SILENT, at: 0 })
    const silent: Pool = { ask: () => Promise.reject(silence), close: async () => {} }
    const site = siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown')
    const options = { jobs: 1, time: 1000, siteTime: 1000 }
    const [found] = await ablateSites([site], files, [scenarioNamed('user-access-vs-munmap')], silent, options)
    expect(found).toMatchObject({ verdict: 'went silent', killer: { message: 'nothing was heard of it', path: [] } })
  })

  it('comes after a second round that has time although the first has used up that of the site', async () => {
    const given: number[] = []
    const bounded: Pool = {
      ask: (async ({ milliseconds, cells }: { milliseconds: number; cells: readonly unknown[] }) => {
        given.push(milliseconds)
        return cells.map(() => ({ verdict: 'bounded', preemptions: 1, message: '', path: [], executed: true }))
      }) as unknown as Pool['ask'],
      close: async () => {},
    }
    const site = siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown')
    // Less than any round takes.
    const options = { jobs: 1, time: 1000, siteTime: 1e-6 }
    const [found] = await ablateSites([site], files, [scenarioNamed('user-access-vs-munmap')], bounded, options)
    expect(found).toMatchObject({ verdict: 'survived up to k preemptions', proved: 0 })
    expect(given.length).toBeGreaterThan(1)
    expect(given.at(-1)).toBeGreaterThan(0)
  })

  it('is that an ordering is undecided', async () => {
    const site = sites.find(({ operator }) => operator === 'ordering')!
    expect((await ablated(site, ['fault-vs-munmap'])).verdict).toBe('undecided under SC')
  })
})
