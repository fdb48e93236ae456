// The walker of /proc/PID/smaps: counts what a range of an address space has mapped, page table by page table. One walk under
// four kinds of protection: mmap_lock as in production; RCU alone; interrupts off alone; none. The last three are what is argued
// about ("can page tables be walked without mmap_lock?"): they need no VMA, and are as safe as tables are freed carefully.
import { ENTRY_WORDS } from '../arch/arch.ts'
import { irqRestore, irqSave, load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu, SMAPS_RANGES } from '../machine/percpu.ts'
import { Pte, pmdpGetLockless, ptePresent, ptepGetLockless, upperIsTable, upperTable } from '../pagetable/entries.ts'
import { nextPteTable, pmdAddrEnd, pteIndex } from '../pagetable/levels.ts'
import { pteOffsetMap, pteOffsetMapLock, pteUnmap, pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { enterKernel, exitKernel } from '../syscall/entry.ts'
import { findVmaIntersection } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'
import { Vma } from '../vma/vma.ts'

/**
 * What protects the walk. `mmapLock`: mmap_lock for reading throughout, and each table's lock; only what lies in a VMA is
 * walked, because a munmap that has downgraded its lock may be freeing tables elsewhere. `rcu`: an RCU section around each
 * table, from the top level down, and `pteOffsetMap`. `irqOff`: the same with interrupts off and no RCU section. `bare`: the same
 * with nothing held, as if to be in the kernel were enough; where entries are read whole.
 */
export const SmapsWalk = Object.freeze({ mmapLock: 0, rcu: 1, irqOff: 2, bare: 3 })

/**
 * Reads the pages from `start` to `end` (exclusive) of `mm`, which somebody keeps alive (`Mm.users`); `how`: see
 * `SmapsWalk`. Only `mmapLock` may sleep. Returns how many pages are present, the zero page not counted (Linux's Rss). In the
 * CPU's area are then: of these, how many entries are dirty (`smapsDirty`); and the runs of present pages that were seen, in
 * the order of the walk (`smapsShown` of them; first page and page behind the last of run i at `smapsRanges` + 2i; runs
 * beyond `SMAPS_RANGES` are not kept).
 */
export function sysSmaps(mm: number, start: number, end: number, how: number): number {
  enterKernel()
  const cpu = thisCpu()
  store(cpu + Cpu.smapsPresent, 0)
  store(cpu + Cpu.smapsDirty, 0)
  store(cpu + Cpu.smapsShown, 0)
  store(cpu + Cpu.smapsEnd, -1)
  if (how === SmapsWalk.mmapLock) {
    mmapReadLock(mm)
    let vma = findVmaIntersection(mm, start, end)
    while (vma !== 0) {
      smapsRange(mm, Math.max(start, load(vma + Vma.start)), Math.min(end, load(vma + Vma.end)), how)
      vma = load(vma + Vma.end) < end ? findVmaIntersection(mm, load(vma + Vma.end), end) : 0
    }
    mmapReadUnlock(mm)
  } else smapsRange(mm, start, end, how)
  exitKernel()
  return load(cpu + Cpu.smapsPresent)
}

/** Reads the tables of the pages from `start` to `end`, one after the other. */
function smapsRange(mm: number, start: number, end: number, how: number): void {
  let vpn = start
  while (vpn < end) vpn = smapsTable(mm, vpn, end, how)
}

/** Reads the next PTE table from page `from` on. Returns the page at which to go on. */
function smapsTable(mm: number, from: number, end: number, how: number): number {
  if (how === SmapsWalk.rcu) rcuReadLock()
  else if (how === SmapsWalk.irqOff) irqSave()
  let next = nextPteTable(mm, from, end)
  if (next < end) {
    const vpn = next
    next = pmdAddrEnd(vpn, end)
    smapsPteRange(load(thisCpu() + Cpu.out2), vpn, next, how)
  }
  if (how === SmapsWalk.rcu) rcuReadUnlock()
  else if (how === SmapsWalk.irqOff) irqRestore()
  return next
}

/** smaps_pte_range: the entries of the pages from `start` to `end`, all below one PMD slot. */
function smapsPteRange(pmd: number, start: number, end: number, how: number): void {
  const ptep = mapTable(pmd, start, how)
  if (ptep === 0) return
  const ptl = load(thisCpu() + Cpu.out1)
  for (let i = 0; i < end - start; i++) smapsPte(ptepGetLockless(ptep + i * ENTRY_WORDS), start + i)
  if (how === SmapsWalk.mmapLock) pteUnmapUnlock(ptep, ptl)
  else if (how === SmapsWalk.rcu) pteUnmap(ptep)
}

/** The entry of page `vpn` below `pmd`, or 0: locked, under RCU, or as it is, with interrupts off already or nothing held. */
function mapTable(pmd: number, vpn: number, how: number): number {
  if (how === SmapsWalk.mmapLock) return pteOffsetMapLock(pmd, vpn)
  if (how === SmapsWalk.rcu) return pteOffsetMap(pmd, vpn)
  const pmdval = pmdpGetLockless(pmd)
  return upperIsTable(pmdval) ? upperTable(pmdval) + pteIndex(vpn) * ENTRY_WORDS : 0
}

/** smaps_pte_entry: counts one entry and adds its page to the runs that are shown. */
function smapsPte(pte: number, vpn: number): void {
  if (!ptePresent(pte) || (pte & Pte.special) !== 0) return
  const cpu = thisCpu()
  store(cpu + Cpu.smapsPresent, load(cpu + Cpu.smapsPresent) + 1)
  if ((pte & Pte.dirty) !== 0) store(cpu + Cpu.smapsDirty, load(cpu + Cpu.smapsDirty) + 1)
  let shown = load(cpu + Cpu.smapsShown)
  if (load(cpu + Cpu.smapsEnd) !== vpn) {
    if (shown < SMAPS_RANGES) store(cpu + Cpu.smapsRanges + 2 * shown, vpn)
    shown++
    store(cpu + Cpu.smapsShown, shown)
  }
  store(cpu + Cpu.smapsEnd, vpn + 1)
  if (shown <= SMAPS_RANGES) store(cpu + Cpu.smapsRanges + 2 * shown - 1, vpn + 1)
}
