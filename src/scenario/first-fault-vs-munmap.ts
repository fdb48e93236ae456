// A writer that detaches a VMA waits for the readers that got their count before; the last of them must wake it, although the
// VMA's own count is gone by then.
import { scenario } from './scenario.ts'

/** CPU 0 reads a page of a mapping that nobody has touched while CPU 1 unmaps all of it. */
export const firstFaultVsMunmap = scenario({
  name: 'first-fault-vs-munmap',
  question: 'Is a munmap that waits for the readers of a detached VMA always woken?',
  asked: 'field: vma_refcount_put and rcuwait, vma_mark_detached in Linux 6.15',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'wakes-if-attached',
      wrong: 'the last reader wakes the writer only if the VMA is attached',
      edits: [
        {
          file: 'design/vma-lock.ts',
          from: 'if (left === VMA_LOCK_OFFSET + 1 || left === VMA_LOCK_OFFSET) {',
          to: 'if (left === VMA_LOCK_OFFSET + 1) {',
        },
      ],
      unsafe: /deadlock/,
    },
  ],
})
