// Counters at quiescence: what an address space counts as resident and as words of tables against what its page tables hold, VMAs and
// their pages against its tree, gathers under way against none; and entries that lie in no mapping.

import { ENTRY_WORDS } from '../../kernel/arch/arch.ts'
import { Inode } from '../../kernel/memory/inode.ts'
import { Mm, mmWords, Rss } from '../../kernel/memory/mm.ts'
import { PAGE_STRUCT_SHIFT, Page } from '../../kernel/memory/page.ts'
import { Pte, ptePfn, ptePresent } from '../../kernel/pagetable/entries.ts'
import { archOf, mappingsOf, realPage, sizesOf, walkTables } from './address-space.ts'
import { type Detector, hex, type Scene } from './scene.ts'

/** What is wrong with the counters of `mm` while no CPU is in the kernel, or ''. */
export function countersOf(scene: Scene, mm: number): string {
  const { words, pages, cpus } = scene
  const arch = archOf(words)
  const sizes = sizesOf(words)
  const top = sizes.levelBits.length - 1
  const isPage = (level: number): boolean => (level === top ? arch.pgdIsPage : undefined) ?? arch.upperTablesArePages
  const mapped = mappingsOf(words, mm)
  const mappings = mapped.map(({ start, end }) => ({ first: realPage(words, start), behind: realPage(words, end - 1) + 1 }))
  const counted = new Array<number>(Object.keys(Rss).length).fill(0)
  let tables = 0
  let stray = ''
  walkTables(
    words,
    mm,
    (level) => {
      if (level === 0) tables += sizes.pteTableWords
      else
        tables += isPage(level)
          ? 1 << (sizes.pageShift - 2 + (sizes.upperTableOrder ?? 0))
          : (1 << (sizes.levelBits[level] as number)) * ENTRY_WORDS
    },
    (page, pte) => {
      if (!mappings.some(({ first, behind }) => page >= first && page < behind))
        stray ||= `page ${hex(page)} is in the page tables but in no mapping`
      if (!ptePresent(pte) || (pte & Pte.special) !== 0) return
      const mapping = words[pages + (ptePfn(pte) << PAGE_STRUCT_SHIFT) + Page.mapping] as number
      const kind = (mapping & 1) !== 0 ? Rss.anon : words[mapping + Inode.shmem] !== 0 ? Rss.shmem : Rss.file
      counted[kind] = (counted[kind] as number) + 1
    },
  )
  if (stray !== '') return stray
  for (const [name, kind] of Object.entries(Rss)) {
    let rss = 0
    for (let cpu = 0; cpu < cpus; cpu++) rss += words[mm + mmWords(cpu) + kind] as number
    if (rss !== counted[kind]) return `rss ${name} is ${rss}, the page tables hold ${counted[kind]}`
  }
  const [maps, vm, gathers] = [Mm.mapCount, Mm.totalVm, Mm.tlbFlushPending].map((field) => words[mm + field] as number)
  if (maps !== mapped.length) return `${maps} VMAs are counted, there are ${mapped.length}`
  const vmPages = mapped.reduce((total, { start, end }) => total + end - start, 0)
  if (vm !== vmPages) return `total_vm is ${vm} pages, the VMAs have ${vmPages}`
  if (gathers !== 0) return `${gathers} gathers were begun and not finished`
  const words_ = words[mm + Mm.tableWords] as number
  return words_ === tables ? '' : `${words_} words of page tables are counted, there are ${tables}`
}

/** Compares the counters of the address spaces that `spaces` names when all calls have returned. */
export function detectCounters(scene: Scene, spaces: () => readonly number[]): Detector {
  return {
    finish: (blocked) => {
      if (blocked !== 0) return
      for (const mm of spaces()) {
        const wrong = countersOf(scene, mm)
        if (wrong === '') continue
        scene.report({
          detector: 'counters',
          bookkeeping: false,
          message: `counters of mm ${hex(mm)}: ${wrong}`,
          agent: -1,
          objects: [mm],
          related: [],
        })
      }
    },
  }
}
