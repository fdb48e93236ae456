// On x86 PAE an entry is two words. May a walker without mmap_lock be given a table that never was, mixed from the halves of
// two PMD entries? Low, high, and low again until both agree is fooled when a table goes and another one comes whose entry has
// the same low half; not when the low halves differ.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import type { Call } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const ASKED = 'thread 001, pmdp_get_lockless() on PAE, 10 and 11 May 2023; bugs.md, B21'

/** CPU 1's part: the table of `page` goes, and another one comes. The frame of the page that was freed last becomes that table. */
function anotherTable(stage: Stage, sameLow: boolean): { mm: ReturnType<Stage['newMm']>; page: number; calls: Call[] } {
  const mm = stage.newMm([1])
  const page = stage.table(4)
  // A neighbour keeps the tables above.
  stage.now(1, mm.mmap(stage.table(6), 1))
  stage.now(1, mm.write(stage.table(6), 1))
  stage.now(1, mm.mmap(page, 2))
  // Frames come one after the other: the table, then these two, whose numbers are odd and even in turns.
  for (const at of [page, page + 1]) stage.now(1, mm.write(at, 1))
  const pages = sameLow ? 2 : 1
  if (!sameLow) stage.now(1, mm.munmap(page + 1, 1))
  return { mm, page, calls: [mm.munmap(page, pages), mm.mmap(page, 1), mm.write(page, 2)] }
}

function walkBesideReuse(
  name: string,
  question: string,
  archs: readonly string[],
  sameLow: boolean,
  expect: Scenario['expect'],
  variants: readonly Variant[],
): Scenario {
  return scenario({
    name,
    question,
    asked: ASKED,
    cpus: 2,
    archs,
    designs: ['vma-lock'],
    setUp: (stage) => {
      const { mm, page, calls } = anotherTable(stage, sameLow)
      // It does not run the address space that it reads: no TLB flush waits for it.
      return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], calls] }
    },
    expect,
    variants,
  })
}

const READ_ONCE: Variant = {
  name: 'low-high-once',
  wrong: 'the low half is not looked at again',
  edits: [{ file: 'pagetable/entries.ts', from: 'if (readOnce(p) === low) return low | high', to: 'return low | high' }],
  unsafe: /torn read/,
}

/** The new table's entry has the low half of the old one. */
export const paeSameLowHalf = walkBesideReuse(
  'pae-pmd-same-low-half',
  'Is low, high, and low again enough to read a PMD of two halves, when the next table has the same low half?',
  ['x86-pae', 'x86-pae-irqs-on', 'x86-pae-irqs-off-until-unmap'],
  true,
  ({ arch }) => (arch === 'x86-pae-irqs-on' ? { unsafe: /torn read/ } : 'safe'),
  [
    READ_ONCE,
    {
      name: 'no-sync',
      wrong: 'whoever unhooks a table sends no IPI to those that may be reading its entry',
      edits: [
        {
          file: 'pagetable/tlb-flush.ts',
          from: 'if (ENTRY_READ >= EntryRead.irqOff) tlbRemoveTableSyncOne()',
          to: 'if (ENTRY_READ < 0) tlbRemoveTableSyncOne()',
        },
      ],
      unsafe: /torn read/,
    },
    {
      name: 'interrupts-on',
      wrong: 'the IPI is sent, but interrupts are on while the entry is read',
      edits: [
        { file: 'pagetable/levels.ts', from: 'if (ENTRY_READ >= EntryRead.irqOff) irqSave()', to: 'if (ENTRY_READ < 0) irqSave()' },
        { file: 'pagetable/levels.ts', from: 'if (ENTRY_READ >= EntryRead.irqOff) irqRestore()', to: 'if (ENTRY_READ < 0) irqRestore()' },
      ],
      unsafe: /torn read/,
    },
    {
      name: 'sync-after-the-lock',
      wrong: 'a batch of tables goes to RCU without the IPI before it, so that another table may come first',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '  beforeTablesAreFreed()\n  if (batchesGoThroughRcu()',
          to: '  if (batchesGoThroughRcu()',
        },
      ],
      unsafe: /torn read/,
    },
    {
      name: 'sync-only-where-all-are-waited-for',
      wrong: 'before tables are freed those that read their entries are waited for only if the policy waits for everybody',
      edits: [
        { file: 'pagetable/freeing.ts', from: '  else if (policy !== Freeing.immediate) pmdpGetLocklessSync()\n', to: '' },
        {
          file: 'pagetable/freeing.ts',
          from: 'import { pmdpGetLocklessSync, tlbRemoveTableSyncOne }',
          to: 'import { tlbRemoveTableSyncOne }',
        },
      ],
      unsafe: /torn read/,
    },
  ],
)

/** The new table's entry has another low half: whoever looks again sees it. */
export const paeOtherLowHalf = walkBesideReuse(
  'pae-pmd-other-low-half',
  'Is low, high, and low again enough to read a PMD of two halves, when the next table has another low half?',
  ['x86-pae-irqs-on'],
  false,
  'safe',
  [READ_ONCE],
)
