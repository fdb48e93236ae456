// Ablation: what a cell executes, the order in which scenarios are asked, and each verdict for a change of which it is known.
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { AblationSite } from '../../src/check/ablate/index.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { type Ablated, ablateSites, designSites, kernelSites, sitesOf } from '../../src/scenario/runner/ablation.ts'
import { inOrder, isAbout, openKillRecord } from '../../src/scenario/runner/ablation-order.ts'
import { cellsOf } from '../../src/scenario/runner/cells.ts'
import { openPool, type Pool, WORKER_SILENT } from '../../src/scenario/runner/pool.ts'
import type { Trial, TrialsQuestion } from '../../src/scenario/runner/question.ts'
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
      ask: (async ({ deadline, cells }: TrialsQuestion) => {
        given.push(deadline - Date.now())
        return cells.map(() => ({ verdict: 'bounded', preemptions: 1, message: '', path: [], executed: true }))
      }) as unknown as Pool['ask'],
      close: async () => {},
    }
    const site = siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown')
    const options = { jobs: 1, time: 1000, siteTime: 1000 }
    let now = 0
    // Each look at the clock finds that ten seconds more have gone by.
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 10_000))
    const [found] = await ablateSites([site], files, [scenarioNamed('user-access-vs-munmap')], bounded, options)
    clock.mockRestore()
    expect(found).toMatchObject({ verdict: 'survived up to k preemptions', proved: 0 })
    expect(given.length).toBeGreaterThan(1)
    expect(given.at(-1)).toBeGreaterThan(0)
  })

  it('is given to each of many sites, by the cells that execute it', async () => {
    const some = [
      ...sites.filter(({ file, function: name }) => file === 'sync/spinlock.ts' && name === 'spinLock'),
      siteWith('sync/srcu.ts', 'lock', 'spinLock'),
      siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown'),
      siteWith('sync/rcu.ts', 'ordering', 'smp'),
    ]
    expect(some.length).toBeGreaterThan(4)
    const found = await ablateSites(some, files, [scenarioNamed('spinlock-exclusion')], pool, { jobs: 1, time: 30_000, siteTime: 30_000 })
    const verdicts = new Map(found.map(({ site, verdict }) => [site.id, verdict]))
    expect(found.find(({ site }) => site.file === 'sync/spinlock.ts' && site.operator === 'atomicity')!.verdict).toBe('load-bearing')
    expect(verdicts.get(siteWith('pagetable/tlb-flush.ts', 'flush', 'shootDown').id)).toBe('not executed')
    expect(verdicts.get(siteWith('sync/rcu.ts', 'ordering', 'smp').id)).toBe('undecided under SC')
    expect(verdicts.size).toBe(some.length)
  })

  it('of a design of the user’s goes by what is executed of it, too', async () => {
    const design = fileURLToPath(new URL('../../examples/my-design/step-3.ts', import.meta.url))
    const own = designSites(design)
    const executedIn = async (name: string): Promise<string[]> => {
      const options = { jobs: 1, time: 1000, siteTime: 1000, design }
      return (await sitesOf(own.sites, own.files, [scenarioNamed(name)], pool, options)).map((site) => site.function)
    }
    expect(await executedIn('fault-vs-munmap')).toContain('mmapWriteLocked')
    // No fault, no lock of mmap.
    expect(await executedIn('spinlock-exclusion')).toEqual([])
  })

  it('is that an ordering is undecided', async () => {
    const site = sites.find(({ operator }) => operator === 'ordering')!
    expect((await ablated(site, ['fault-vs-munmap'])).verdict).toBe('undecided under SC')
  })
})

describe('one site by itself', () => {
  // Two variants; no scenario is about it.
  const site = siteWith('vma/maple-tree.ts', 'recheck', 'mteDeadNode(leaf)')
  const names = ['fault-vs-fault', 'fault-vs-munmap', 'fault-vs-fork']
  /** One that a scenario is about. */
  const about = 'split-undone-vs-fault'
  const near = sites.find((one) => one.variants.length === 1 && one.status === 'ablatable' && isAbout(scenarioNamed(about), one, files))!
  type Asked = { readonly scenario: string; readonly mode: string }
  /** A pool that answers by scenario, and what it was asked, question by question. */
  const answering = (answer: (asked: Asked) => Partial<Trial>): { readonly pool: Pool; readonly asked: Asked[][] } => {
    const asked: Asked[][] = []
    const ask = async ({ cells }: TrialsQuestion): Promise<Trial[]> => {
      const mine = cells.map(({ cell, options }) => ({ scenario: cell.scenario, mode: options.mode as string }))
      asked.push(mine)
      return mine.map((one) => ({
        ...{ verdict: 'bounded', preemptions: 1, message: '', path: [], milliseconds: 1, executed: false },
        ...answer(one),
      }))
    }
    return { pool: { ask: ask as unknown as Pool['ask'], close: async () => {} }, asked }
  }
  const by = async (of: AblationSite, answers: ReturnType<typeof answering>, among: readonly string[] = names): Promise<Ablated> => {
    const options = { jobs: 1, time: 1000, siteTime: 1000, wanted: { designs: ['vma-lock'], archs: ['x86_64'] } }
    return (await ablateSites([of], files, among.map(scenarioNamed), answers.pool, options))[0]!
  }
  const scenariosOf = (asked: readonly Asked[]): string[] => [...new Set(asked.map(({ scenario }) => scenario))].sort()

  it('is searched to the end only where it is executed', async () => {
    const answers = answering(({ scenario }) => ({ executed: scenario === 'fault-vs-munmap' }))
    const { verdict, executed } = await by(site, answers)
    expect([verdict, executed]).toEqual(['survived up to k preemptions', 1])
    const last = answers.asked.filter((of) => of.some(({ mode }) => mode === 'states'))
    expect(last.map(scenariosOf)).toEqual([['fault-vs-munmap']])
  })

  it('is not executed where no cell does, however far it was searched', async () => {
    const proved = answering(() => ({ verdict: 'proved' }))
    expect(await by(near, proved, [about, 'fault-vs-fault'])).toMatchObject({ verdict: 'not executed', executed: 0 })
    // Few preemptions do not tell of who is about it.
    const bounded = answering(() => ({}))
    expect(await by(near, bounded, [about, 'fault-vs-fault'])).toMatchObject({ verdict: 'survived up to k preemptions' })
  })

  it('is changed in the second way only for cells that execute it', async () => {
    const both = sites.find(({ variants, status }) => variants.length === 2 && status === 'ablatable')!
    const answers = answering(({ scenario }) => ({ executed: scenario === 'fault-vs-fork' }))
    await by(both, answers)
    const quick = answers.asked.filter((of) => of.every(({ mode }) => mode === 'bounded') && of.length > 0).map(scenariosOf)
    expect(quick).toEqual([[...names].sort(), ['fault-vs-fork']])
  })

  it('asks last who was not searched to the end before', async () => {
    const answers = answering(({ mode }) => ({ executed: true, ...(mode === 'states' ? { verdict: 'stopped', preemptions: null } : {}) }))
    await by(near, answers, ['fault-vs-fault', about])
    const [first, , last] = answers.asked
    expect(scenariosOf(first!)).toEqual([about])
    expect(last!.at(0)!.scenario).toBe('fault-vs-fault')
    expect(last!.at(-1)!.scenario).toBe(about)
  })
})
