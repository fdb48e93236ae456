// Where page tables may lie in high memory (HIGHPTE) they are mapped for a moment, in slots that a CPU uses like a stack: of two
// maps the later one is undone first. mremap and fork hold two.
import { Remap } from '../kernel/syscall/mremap.ts'
import { scenario } from './scenario.ts'

/** CPU 0 moves a page to another table while CPU 1 reads it at its old place. */
export const highpteUnmapOrder = scenario({
  name: 'highpte-unmap-order',
  question: 'Must maps of page tables be undone in reverse order?',
  asked: 'thread 001, CONFIG_HIGHPTE and kmap_local, 10 and 11 May 2023',
  cpus: 2,
  archs: ['x86-pae'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const target = stage.table(6)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, target)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'earlier-map-first',
      wrong: 'mremap unmaps the table that it mapped first before the other one',
      edits: [
        {
          file: 'pagetable/move-page-tables.ts',
          from: '  pteUnmap(newPte)\n  pteUnmapUnlock(oldPte, oldPtl)\n',
          to: '  pteUnmapUnlock(oldPte, oldPtl)\n  pteUnmap(newPte)\n',
        },
      ],
      unsafe: /unbalanced: .* before the later one/,
    },
  ],
})
