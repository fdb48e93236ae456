// Placement looks for a gap and takes it: both under one hold of mmap_lock, or two calls get the same place.
import { Mm } from '../kernel/memory/mm.ts'
import { Placement } from '../kernel/syscall/mmap.ts'
import { type Call, hex, READ_WRITE } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { scenario } from './scenario.ts'

/** An address space that no CPU has loaded. It is the scenario's own: the sequential model knows addresses, but chooses none. */
function emptyMm({ now, call, kernel }: Stage): { readonly mm: number; readonly after: readonly Call[] } {
  const mm = now(
    0,
    call('exec()', () => kernel.sysNewMm()),
  )
  return { mm, after: [call('exit()', () => kernel.sysExit(mm))] }
}

/** Both CPUs map two pages anywhere: each must get a place of its own. */
export const mmapVsMmap = scenario({
  name: 'mmap-vs-mmap',
  question: 'May two mmaps that choose their place get the same one?',
  asked: 'field: get_unmapped_area under mmap_lock for writing',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const { mm, after } = emptyMm(stage)
    const anywhere = stage.call('mmap(anywhere, 2 pages)', () => stage.kernel.sysMmap(mm, 0, 2, READ_WRITE, Placement.hint, 0, 0))
    return {
      calls: [[anywhere], [anywhere]],
      after,
      check: ([[first = 0] = [], [second = 0] = []]) => {
        if (first < 0 || second < 0) return `an mmap failed: ${first}, ${second}`
        return Math.abs(first - second) < 2 ? `two mmaps got pages ${hex(first)} and ${hex(second)}` : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'lock-dropped-between',
      wrong: 'mmap_lock is dropped between choosing the gap and taking it',
      edits: [
        {
          file: 'syscall/mmap.ts',
          from: '  const result = doMmap(mm, address, pages, flags, placement, file, pgoff)',
          to: `  const chosen = getUnmappedArea(mm, address, pages)
  mmapWriteUnlock(mm)
  mmapWriteLock(mm)
  const result = doMmap(mm, chosen, pages, flags, Placement.fixed, file, pgoff)`,
        },
      ],
      unsafe: /two mmaps got pages/,
    },
  ],
})

/** CPU 0 lets the heap grow by a page; CPU 1 maps that page unless something is there. One of them must fail. */
export const brkVsMmap = scenario({
  name: 'brk-vs-mmap',
  question: 'May the heap grow into a range that mmap takes at the same time?',
  asked: 'field: brk looks for what is in its way under mmap_lock for writing',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const { mm, after } = emptyMm(stage)
    const heap = stage.table(4)
    const { words } = stage.machine
    words[mm + Mm.startBrk] = heap
    words[mm + Mm.brk] = heap
    const brk = stage.call(`brk(${hex(heap + 1)})`, () => stage.kernel.sysBrk(mm, heap + 1, 0))
    const mmap = stage.call(`mmap(${hex(heap)}, 1 page, NOREPLACE)`, () =>
      stage.kernel.sysMmap(mm, heap, 1, READ_WRITE, Placement.fixedNoreplace, 0, 0),
    )
    return {
      calls: [[brk], [mmap]],
      after,
      check: ([[grown = 0] = [], [mapped = 0] = []]) =>
        (grown === 0) === mapped >= 0 ? `brk returned ${grown} and mmap ${mapped}: one of them must fail` : '',
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'brk-not-locked',
      wrong: 'brk does not take mmap_lock',
      edits: [
        { file: 'syscall/brk.ts', from: '  mmapWriteLock(mm)\n', to: '' },
        { file: 'syscall/brk.ts', from: '  mmapWriteUnlock(mm)\n', to: '' },
      ],
      unsafe: /one of them must fail|data race|leak|deadlock/,
    },
  ],
})
