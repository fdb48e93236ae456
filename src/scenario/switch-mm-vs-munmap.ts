// A CPU that has no use for an address space is not shot down. Is it in time, when it comes back, to be shot down again, and has
// it forgotten what it knew?
import type { Call, Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { scenario } from './scenario.ts'

const ASKED = 'field: switch_mm_irqs_off and mm_cpumask, lazy TLB mode; thread 000: a CPU on which the task never ran gets no IPI'
const STALE = /stale|freed|no order|linear/

function switchTo(stage: Stage, mm: number, name: string): Call {
  return stage.call(`switch_mm(${name})`, () => stage.kernel.sysSwitchMm(mm))
}

/** Two address spaces: one whose page `page` CPUs in `on` have touched and may still have in their TLB, and another one. */
function twoSpaces(
  stage: Stage,
  on: readonly number[],
): { readonly a: Calls & { readonly mm: number }; readonly other: number; readonly page: number } {
  const a = stage.newMm()
  const other = stage.newMm([]).mm
  const page = stage.table(4)
  stage.now(0, a.mmap(page, 1))
  for (const cpu of on) stage.now(cpu, a.write(page, 1))
  return { a, other, page }
}

/** CPU 0 leaves the address space and comes back, while CPU 1 unmaps a page that CPU 0 has in its TLB. */
export const switchMmVsMunmap = scenario({
  name: 'switch-mm-vs-munmap',
  question: 'Does a CPU that leaves an address space and comes back keep translations that were removed meanwhile?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: (stage) => {
    const { a, other, page } = twoSpaces(stage, [0, 1])
    return { calls: [[switchTo(stage, other, 'other'), switchTo(stage, a.mm, 'mm'), a.read(page)], [a.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-flushed-on-the-way-out',
      wrong: 'a CPU that takes another address space keeps its TLB',
      edits: [{ file: 'pagetable/tlb-flush.ts', from: '  localFlush(0, EVERYTHING)\n  store', to: '  store' }],
      unsafe: STALE,
    },
  ],
})

/** CPUs 0 and 1 enter the address space at the same time; then CPU 0 reads the page, twice, and CPU 1 unmaps it. */
export const switchMmTwiceVsMunmap = scenario({
  name: 'switch-mm-twice-vs-munmap',
  question: 'Is a CPU that enters an address space beside another one shot down?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: (stage) => {
    const { a, other, page } = twoSpaces(stage, [0])
    for (const cpu of [0, 1]) stage.now(cpu, switchTo(stage, other, 'other'))
    const enter = switchTo(stage, a.mm, 'mm')
    return {
      calls: [
        [enter, a.read(page), a.read(page)],
        [enter, a.munmap(page, 1)],
      ],
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'entered-unseen',
      wrong: 'a CPU that enters an address space does not put itself on its list',
      edits: [{ file: 'pagetable/tlb-flush.ts', from: '  if (mm !== 0) atomicOr(mm + Mm.cpuMask + (id >> 5), 1 << (id & 31))\n', to: '' }],
      unsafe: STALE,
    },
    {
      name: 'list-written-back',
      wrong: 'the list of CPUs is read and written back, so that one of two entries is lost',
      edits: [
        {
          file: 'pagetable/tlb-flush.ts',
          from: 'if (mm !== 0) atomicOr(mm + Mm.cpuMask + (id >> 5), 1 << (id & 31))',
          to: 'if (mm !== 0) writeOnce(mm + Mm.cpuMask + (id >> 5), readOnce(mm + Mm.cpuMask + (id >> 5)) | (1 << (id & 31)))',
        },
      ],
      unsafe: STALE,
    },
  ],
})
