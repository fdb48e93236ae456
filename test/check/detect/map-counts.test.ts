// The detector of map counts: silent about the kernel as it is, under random schedules of two address spaces that share pages;
// and what it says when a count has gone wrong.
import { describe, expect, it } from 'vitest'
import { pteOf } from '../../../src/check/detect/index.ts'
import { type Machine, openTree, runAlone, type Tree } from '../../../src/check/index.ts'
import { Global } from '../../../src/kernel/machine/globals.ts'
import { PAGE_STRUCT_SHIFT, Page } from '../../../src/kernel/memory/page.ts'
import { ptePfn } from '../../../src/kernel/pagetable/entries.ts'
import { copyOnWriteVsLettingGo } from '../../../src/scenario/copy-on-write-vs-letting-go.ts'
import { forkVsMremap } from '../../../src/scenario/fork-vs-munmap.ts'
import { AXES, FIRST_ARCHS } from '../../../src/scenario/runner/axes.ts'
import { cellOf, checkCell } from '../../../src/scenario/runner/check.ts'
import { unmapOfSharedPage } from '../../../src/scenario/unmap-of-shared-page.ts'
import { look, scene } from './kernel-scenes.ts'

const EXECUTIONS = 30

describe('map counts', async () => {
  const tree: Tree = await openTree()
  // Every design on the first architectures, the usual one on all.
  const combinations = AXES.archs.flatMap((arch) =>
    AXES.designs.filter((design) => FIRST_ARCHS.includes(arch) || design === 'vma-lock').map((design) => ({ arch, design })),
  )

  it.each(combinations)('agree in the kernel as it is ($arch, $design)', async (combination) => {
    for (const scenario of [copyOnWriteVsLettingGo, forkVsMremap, unmapOfSharedPage]) {
      const { report } = await checkCell(cellOf(scenario, combination), { tree, mode: 'random', seed: 5, executions: EXECUTIONS })
      expect(report.message).toMatch(/executions/)
      expect(report.verdict).toBe('stopped')
    }
  })

  it('are told apart from the entries when all calls have returned', async () => {
    expect(await saidAfter(tree, (words, page) => (words[page + Page.mapcount] as number)++)).toMatch(
      /^map count of frame \d+ \(struct page 0x\w+\) is 2, 1 entries map it$/,
    )
    expect(await saidAfter(tree, (words, page) => (words[page + Page.mapcount] as number)--)).toMatch(/is 0, 1 entries map it$/)
    expect(await saidAfter(tree, (words, page) => (words[page + Page.refcount] as number)--)).toMatch(
      /^reference count of frame \d+ is 0, 1 entries map it$/,
    )
    expect(await saidAfter(tree, () => 0)).toBe('')
  })

  it('are looked at when a page is freed', async () => {
    const { report } = await checkCell(cellOf(unmapOfSharedPage, {}, 'count-in-two-steps'))
    expect(report.message).toMatch(/^bad page: frame \d+ is freed by CPU \d at freePage memory\/page-alloc\.ts:\d+ with map count 1$/)
    // Nobody else notices.
    const blind = await checkCell(cellOf(unmapOfSharedPage, {}, 'count-in-two-steps'), { except: ['map-counts'] })
    expect(blind.report.verdict).toBe('proved')
  })
})

/** What is said of an execution that touches one page, whose struct page `damage` changes before it begins. */
async function saidAfter(tree: Tree, damage: (words: Int32Array, page: number) => unknown): Promise<string> {
  const here = await scene(tree, 'x86_64', 'mmap-lock', () => [], { except: ['counters'] })
  const { machine, mm, page, touch } = here
  runAlone(machine, touch(page))
  damage(machine.words, structPage(machine, mm, page))
  return look(here, [[touch(page + 1, false)], []], 1)
}

function structPage({ words }: Machine, mm: number, page: number): number {
  return (words[Global.pages] as number) + (ptePfn(pteOf(words, mm, page)) << PAGE_STRUCT_SHIFT)
}
