// An address space as words, taken when nobody uses it any more: its VMAs, what each resident page holds, its counters.
import { ENTRY_WORDS } from '../../kernel/arch/arch.ts'
import { enterKernel, exitKernel, sysExit } from '../../kernel/kernel.ts'
import { load, readOnce, thisCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { getMmCounter, Mm, mmDrop, mmGrab, Rss } from '../../kernel/memory/mm.ts'
import { pfnToVirt } from '../../kernel/memory/page.ts'
import { Pte, pteNone, ptePfn, ptepGet } from '../../kernel/pagetable/entries.ts'
import { nextPteTable, pmdAddrEnd } from '../../kernel/pagetable/levels.ts'
import { pteOffsetMap, pteUnmap } from '../../kernel/pagetable/pte-offset-map.ts'
import { findVma } from '../../kernel/vma/find-vma.ts'
import { Vma } from '../../kernel/vma/vma.ts'

/** Numbers of one VMA in `SpaceEnd.vmas`. */
export const VMA_WORDS = 5
/** Numbers of one page in `SpaceEnd.pages`. */
export const PAGE_ENTRY_WORDS = 2

/** The end of an address space. */
export interface SpaceEnd {
  space: number
  /** Start, end, flags, page offset, struct file of each VMA, ascending. Empty when no contents were asked for. */
  vmas: number[]
  /** Page and first word of each resident page; pages of zeroes that have no frame are left out. */
  pages: number[]
  /** The kernel's own counts. */
  mapCount: number
  totalVm: number
  resident: number
  /** Words of page tables at their peak. */
  tablePeak: number
  /** After the last user left: what is still counted. All must be zero. */
  leftResident: number
  leftTableWords: number
}

/** Pages of every kind that `mm` counts as resident. */
export function residentPages(mm: number): number {
  return getMmCounter(mm, Rss.anon) + getMmCounter(mm, Rss.file) + getMmCounter(mm, Rss.shmem) + getMmCounter(mm, Rss.swap)
}

/** Takes the snapshot (with `contents`) and ends the address space, of which the caller is the only user. */
export function endSpace(space: number, mm: number, contents: boolean): SpaceEnd {
  enterKernel()
  const end: SpaceEnd = {
    space,
    vmas: [],
    pages: [],
    mapCount: load(mm + Mm.mapCount),
    totalVm: load(mm + Mm.totalVm),
    resident: residentPages(mm),
    tablePeak: load(mm + Mm.tablePeak),
    leftResident: 0,
    leftTableWords: 0,
  }
  if (contents) for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, load(vma + Vma.end))) describe(mm, vma, end)
  mmGrab(mm)
  exitKernel()
  sysExit(mm)
  enterKernel()
  end.leftResident = residentPages(mm)
  end.leftTableWords = load(mm + Mm.tableWords)
  mmDrop(mm)
  exitKernel()
  return end
}

function describe(mm: number, vma: number, to: SpaceEnd): void {
  const stop = load(vma + Vma.end)
  to.vmas.push(load(vma + Vma.start), stop, load(vma + Vma.flags), load(vma + Vma.pgoff), load(vma + Vma.file))
  let at = nextPteTable(mm, load(vma + Vma.start), stop)
  while (at < stop) {
    const pmd = load(thisCpu() + Cpu.out2)
    const next = pmdAddrEnd(at, stop)
    const ptep = pteOffsetMap(pmd, at)
    if (ptep !== 0) {
      for (let page = at; page < next; page++) {
        const pte = ptepGet(ptep + (page - at) * ENTRY_WORDS)
        if (!pteNone(pte) && (pte & Pte.special) === 0) to.pages.push(page, readOnce(pfnToVirt(ptePfn(pte))))
      }
      pteUnmap(ptep)
    }
    at = nextPteTable(mm, next, stop)
  }
}
