// May entries be moved under a fault at their old or new place? The old translation must be gone before the page can be
// reached, and freed, through the new one.
import { Remap } from '../kernel/syscall/mremap.ts'
import { scenario } from './scenario.ts'

/** CPU 0 writes at the old place while CPU 1 moves the mapping and writes at the new one. */
export const mremapVsFault = scenario({
  name: 'mremap-vs-fault',
  question: 'May mremap move a page while another CPU writes to it at its old place?',
  asked: 'bugs.md, B4: mremap and the flush of the old place (CVE-2018-18281)',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const target = stage.table(6)
    stage.now(0, mm.mmap(page, 1))
    for (const cpu of [0, 1]) stage.now(cpu, mm.write(page, 1))
    return {
      calls: [[mm.write(page, 7)], [mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, target), mm.read(target)]],
    }
  },
  expect: 'safe',
})

/** CPU 0 reads at the new place, to which CPU 1 is moving a page. */
export const mremapVsFaultAtTarget = scenario({
  name: 'mremap-vs-fault-at-target',
  question: 'May a fault fill the new place before mremap has moved the page there?',
  asked: 'field: copy_vma and vma_start_write: the new VMA is in the tree before move_page_tables',
  cpus: 2,
  designs: ['vma-lock', 'vma-lock-seq'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(1, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    return { calls: [[mm.read(page + 2)], [mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, page + 2)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'copy-not-locked',
      wrong: 'the VMA at the new place is in the tree without being write-locked',
      edits: [{ file: 'syscall/mremap.ts', from: '  design.vmaStartWrite(copy)\n', to: '' }],
      unsafe: /no order of the calls explains|counters of mm|leak|map count/,
    },
  ],
})
