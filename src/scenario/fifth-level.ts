// With five levels there is a P4D between PGD and PUD. It is made by the first fault below its PGD entry and freed by free_p4d_range,
// if nothing is mapped between floor and ceiling: beside faults of neighbours that need it.
import type { Stage } from './runner/stage.ts'
import { type Play, type Scenario, scenario } from './scenario.ts'

const ASKED = 'field: free_p4d_range with floor and ceiling; p4d_alloc under page_table_lock (LA57)'
const ARCHS = ['x86_64-5level']
/** Pages below one entry of a P4D and of a PGD. With four levels the first is what is below an entry of a PGD. */
const BELOW_P4D_ENTRY = 64
const BELOW_PGD_ENTRY = 128

function besideMunmap(name: string, question: string, fault: number, variants: Scenario['variants'] = []): Scenario {
  return scenario({
    name,
    question,
    asked: ASKED,
    cpus: 2,
    archs: ARCHS,
    designs: ['vma-lock'],
    setUp: (stage): Play => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 1))
      stage.now(0, mm.mmap(fault, 1))
      stage.now(1, mm.write(page, 1))
      return { calls: [[mm.read(fault)], [mm.munmap(page, 1)]] }
    },
    expect: 'safe',
    variants,
  })
}

/** The fault needs another entry of the P4D whose other entry's tables munmap frees. */
export const faultVsMunmapBelowOneP4d = besideMunmap(
  'fault-vs-munmap-below-one-p4d',
  'Does a P4D stay whose other entry a fault is filling, when a munmap frees all that was below it?',
  BELOW_P4D_ENTRY + 16,
  [
    {
      name: 'freed-without-bounds',
      wrong: 'free_p4d_range does not look whether the span of the P4D lies between floor and ceiling',
      edits: [
        {
          file: 'pagetable/free-pgtables.ts',
          from: '    if (low < floor || low + (1 << shift) > ceiling) return\n',
          to: '    if (level !== Level.p4d && (low < floor || low + (1 << shift) > ceiling)) return\n',
        },
      ],
      unsafe: /freed|leak|words of page tables|counters/,
    },
  ],
)

/** The fault needs another P4D: that of the munmap goes. */
export const faultVsFreeingOfAP4d = besideMunmap(
  'fault-vs-freeing-of-a-p4d',
  'May a P4D be freed while a fault makes the one beside it?',
  BELOW_PGD_ENTRY + 16,
  [
    {
      name: 'pgd-entry-left',
      wrong: 'free_p4d_range leaves the entry of the PGD that names the P4D',
      edits: [
        {
          file: 'pagetable/free-pgtables.ts',
          from: '  writeOnce(slot, 0)\n  if (ENTRY_READ',
          to: '  if (level !== Level.p4d) writeOnce(slot, 0)\n  if (ENTRY_READ',
        },
      ],
      unsafe: /freed|leak|words of page tables|counters/,
    },
  ],
)

/** Two first faults below one P4D that is not there yet: one of two is thrown away. */
export const firstFaultsBelowOneP4d = scenario({
  name: 'first-faults-below-one-p4d',
  question: 'May two faults make the same P4D?',
  asked: ASKED,
  cpus: 2,
  archs: ARCHS,
  designs: ['vma-lock'],
  setUp: (stage: Stage): Play => {
    const mm = stage.newMm()
    const pages = [stage.table(4), BELOW_P4D_ENTRY + 16]
    for (const [cpu, page] of pages.entries()) stage.now(cpu, mm.mmap(page, 1))
    return { calls: pages.map((page) => [mm.read(page)]) }
  },
  expect: 'safe',
  variants: [
    {
      name: 'p4d-put-twice',
      wrong: 'p4d_alloc does not look again under the lock whether there is a P4D by now',
      edits: [
        {
          file: 'pagetable/levels.ts',
          from: '  const theirs = refused || !upperNone(readOnce(slot))\n',
          to: '  const theirs = refused || (level !== Level.p4d && !upperNone(readOnce(slot)))\n',
        },
      ],
      unsafe: /leak|words of page tables|counters|no order/,
    },
  ],
})
