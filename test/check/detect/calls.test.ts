// Detectors that go by what calls promise, and those that look at the end of an execution: stale translations, holes, results
// that no order explains, counters, leaks.
import { beforeAll, describe, expect, it } from 'vitest'
import { type CallDescription, explain, type Sequential } from '../../../src/check/detect/index.ts'
import { openTree, runAlone, type Steps, type Tree } from '../../../src/check/index.ts'
import { TLB_ENTRY_WORDS } from '../../../src/kernel/machine/percpu.ts'
import { Mm } from '../../../src/kernel/memory/mm.ts'
import { TlbEntry } from '../../../src/kernel/pagetable/tlb.ts'
import { tearDown } from '../whole-machine.ts'
import { look, type Scene, scene } from './kernel-scenes.ts'

let tree: Tree
beforeAll(async () => {
  tree = await openTree()
})
const access = (mm: number, start: number, name = 'write'): CallDescription => ({ name, mm, start, pages: 1 })

/** An access that goes through what the CPU's TLB holds without asking whether it is out of date. */
function* careless(here: Scene, vpn: number, write: boolean): Steps<number> {
  const { kernel, machine } = here
  const { Cpu, CPU_STRIDE } = tree.percpu
  const on = tree.instructions
  const entry = await_(machine.words, machine.areas + CPU_STRIDE + Cpu.tlb, vpn)
  yield on.writeOnce(machine.areas + CPU_STRIDE + Cpu.context, 1)
  const frame = on.load(entry + TlbEntry.frame)
  if (frame !== 0) {
    if (write) yield on.writeOnce(frame, 1)
    else yield on.readOnce(frame)
  }
  yield* kernel.endAccess()
  return 0
}

/** The TLB entry at `tlb` that holds page `vpn`, or its place. */
function await_(words: Int32Array, tlb: number, vpn: number): number {
  for (let i = 0; i < 16; i++) if (words[tlb + i * TLB_ENTRY_WORDS + TlbEntry.read] === vpn + 1) return tlb + i * TLB_ENTRY_WORDS
  return tlb + (vpn & 15) * TLB_ENTRY_WORDS
}

describe('stale translations', () => {
  const calls: Record<string, [(here: Scene) => () => unknown, (mm: number, page: number) => CallDescription, boolean]> = {
    munmap: [
      ({ kernel, mm, page }) =>
        () =>
          kernel.sysMunmap(mm, page, 2),
      (mm, start) => ({ name: 'munmap', mm, start, pages: 2 }),
      false,
    ],
    madvise: [
      ({ kernel, mm, page }) =>
        () =>
          kernel.sysMadvise(mm, page, 2, 4),
      (mm, start) => ({ name: 'madvise', mm, start, pages: 2 }),
      false,
    ],
    mprotect: [
      ({ kernel, mm, page }) =>
        () =>
          kernel.sysMprotect(mm, page, 2, 1),
      (mm, start) => ({ name: 'mprotect', mm, start, pages: 2, prot: 1 }),
      true,
    ],
    mremap: [
      ({ kernel, mm, page }) =>
        () =>
          kernel.sysMremap(mm, page, 2, 2, 3, page - 8),
      (mm, start) => ({ name: 'mremap', mm, start, pages: 2, target: start - 8 }),
      false,
    ],
    fork: [
      ({ kernel, mm }) =>
        () =>
          kernel.sysFork(mm),
      (mm) => ({ name: 'fork', mm, start: 0, pages: 0 }),
      true,
    ],
  }
  it.each(Object.keys(calls))('are seen after %s', async (name) => {
    const [call, description, write] = calls[name] as (typeof calls)[string]
    const run = async (how: 'careless' | 'right'): Promise<string> => {
      const here = await scene(
        tree,
        'x86_64',
        'mmap-lock',
        (mm, page) => [[description(mm, page)], [access(mm, page, write ? 'write' : 'read')]],
        {
          except: ['use-after-free', 'data-race', 'unbalanced'],
        },
      )
      runAlone(here.machine, here.touch(here.page), 1)
      // A CPU that does not listen: nobody waits for it, and its TLB keeps what it had.
      const second = how === 'right' ? here.touch(here.page, write) : () => careless(here, here.page, write)
      return look(here, [[call(here)], [second]], how === 'right' ? 30 : undefined)
    }
    expect(await run('careless')).toMatch(new RegExp(`stale translation: CPU 1 .* after ${name} of it by CPU 0 has returned`))
    expect(await run('right')).toBe('')
  })
})

it('a translation that is being taken away is no stale one', async () => {
  const here = await scene(tree, 'x86_64', 'mmap-lock', (mm, start) => [
    [0, 1, 2].map(() => ({ name: 'madvise', mm, start, pages: 2 })),
    [access(mm, start), access(mm, start)],
  ])
  const { kernel, mm, page, touch } = here
  const drops = () => kernel.sysMadvise(mm, page, 2, 4)
  expect(
    look(
      here,
      [
        [drops, drops, drops],
        [touch(page), touch(page)],
      ],
      300,
    ),
  ).toBe('')
})

describe('holes', () => {
  it('are seen where a mapping was there all the time', async () => {
    const shows = async (ranges: (page: number) => readonly (readonly [number, number])[]): Promise<string> => {
      const here = await scene(tree, 'x86_64', 'mmap-lock', (mm, page) => [
        [{ name: 'smaps', mm, start: page, pages: 4, shown: () => ranges(page) }],
        [{ name: 'mprotect', mm, start: page, pages: 1, prot: 1 }],
      ])
      const { kernel, mm, page } = here
      return look(here, [[() => kernel.sysSmaps(mm, page, page + 4, 1)], [() => kernel.sysMprotect(mm, page, 1, 1)]], 10)
    }
    const holey = await shows((page) => [
      [page, page + 1],
      [page + 2, page + 4],
    ])
    expect(holey).toMatch(/smaps by CPU 0 shows nothing at pages 0x\w+ to 0x\w+, which were mapped before it began and still are/)
    expect(await shows((page) => [[page, page + 4]])).toBe('')
  })
  it('are not in what the kernel shows of present pages', async () => {
    const run = async (hidden: number): Promise<string> => {
      const { Cpu } = tree.percpu
      const describe = (mm: number, page: number, area: number): CallDescription => ({
        name: 'smaps',
        mm,
        start: page,
        pages: 4,
        shows: 'pages',
        shown: (_result, words) =>
          Array.from({ length: (words[area + Cpu.smapsShown] as number) - hidden }, (_, i) => {
            const at = area + Cpu.smapsRanges + 2 * i
            return [words[at] as number, words[at + 1] as number] as const
          }),
      })
      let area = 0
      const here = await scene(tree, 'x86_64', 'vma-lock', (mm, page) => [[describe(mm, page, area)], [access(mm, page + 2)]])
      const { kernel, machine, mm, page, touch } = here
      area = machine.areas
      runAlone(machine, touch(page))
      return look(here, [[() => kernel.sysSmaps(mm, page, page + 4, 1)], [touch(page + 2)]], 30)
    }
    expect(await run(0)).toBe('')
    expect(await run(1)).toMatch(/smaps by CPU 0 shows nothing at/)
  })
})

describe('linearizability', () => {
  const counter: Sequential = {
    create: () => {
      let value = 0
      return { apply: ({ start }) => (value += start), state: () => String(value) }
    },
    state: () => '3',
  }
  const record = (cpu: number, start: number, began: number, returned: number, result: number) => ({
    cpu,
    call: 0,
    description: { name: 'add', mm: 0, start, pages: 0 },
    began,
    returned,
    result,
    succeeded: true,
  })
  it('finds the order that explains results, and none where there is none', () => {
    const overlapping = [record(0, 1, 0, 10, 3), record(1, 2, 1, 9, 2)]
    expect(explain(overlapping, counter, '3')?.map(({ cpu }) => cpu)).toEqual([1, 0])
    expect(explain(overlapping, counter, '4')).toBe(null)
    expect(explain([record(0, 1, 0, 10, 1), record(1, 2, 1, 9, 2)], counter, '3')).toBe(null)
    // The first had returned before the second began: it cannot come after.
    expect(explain([record(0, 1, 0, 5, 3), record(1, 2, 6, 9, 2)], counter, '3')).toBe(null)
  })
  it('is judged at the end of executions', async () => {
    const run = async (results: string): Promise<string> => {
      const sequential: Sequential = { create: () => ({ apply: () => 0, state: () => results }), state: () => 'unmapped' }
      const here = await scene(tree, 'x86_64', 'mmap-lock', (mm, start) => [[{ name: 'munmap', mm, start, pages: 2 }], []], {
        sequential: () => sequential,
      })
      return look(here, [[() => here.kernel.sysMunmap(here.mm, here.page, 2)], []])
    }
    expect(await run('unmapped')).toBe('')
    expect(await run('mapped')).toMatch(
      /no order of the calls explains their results; CPU 0: munmap of pages 0x\w+ to 0x\w+ succeeded; at the end unmapped\. .*: the end would have been mapped/,
    )
  })
})

describe('counters', () => {
  it('must agree with the page tables', async () => {
    const here = await scene(tree, 'powerpc64-hash-64k', 'vma-lock')
    const { detectors, machine, mm, page } = here
    runAlone(machine, here.touch(page))
    expect(detectors.counters(mm)).toBe('')
    const tables = machine.words[mm + Mm.tableWords] as number
    machine.words[mm + Mm.tableWords] = tables + 1
    expect(detectors.counters(mm)).toMatch(/words of page tables are counted, there are/)
    machine.words[mm + Mm.tableWords] = tables
    // Counted on a CPU that never faulted.
    const rss = machine.words.indexOf(1, mm + Mm.rss)
    machine.words[rss] = 2
    expect(detectors.counters(mm)).toBe('rss anon is 2, the page tables hold 1')
    expect(look(here, [[here.touch(page + 1)], []])).toMatch(/counters of mm 0x\w+: rss anon is 3, the page tables hold 2/)
  })
})

describe('leaks', () => {
  it('are what is left after exit and a grace period', async () => {
    const here = await scene(tree, 'x86_64', 'vma-lock')
    const { detectors, whole, kernel, machine, mm, page } = here
    runAlone(machine, here.touch(page))
    expect(detectors.leaks()).toMatch(/leak: .* is still in use \(and \d+ more\)/)
    expect(tearDown(whole, [mm])).toBe('')
    detectors.snapshot()
    expect(detectors.leaks()).toBe('')
    const forgotten = runAlone(machine, () => kernel.sysNewMm()) as number
    expect(detectors.leaks()).toMatch(/allocated by CPU 0 at allocPage|allocated by CPU 0 at kmemCacheAlloc/)
    expect(detectors.violation()).toMatchObject({ detector: 'leak', bookkeeping: false })
    expect(detectors.violation()?.objects).toContain(forgotten)
    detectors.baseline()
    expect(detectors.leaks()).toBe('')
  })
})
