// pte_offset_kernel takes no RCU and needs no unmapping; pte_offset_map does. Using the one where the other is due used to make
// no difference where page tables are always mapped; since pte_offset_map holds RCU it does.
import { scenario } from './scenario.ts'

/** Two CPUs map pages of the kernel's own, side by side in one table, find them again and unmap them. */
export const kernelMapping = scenario({
  name: 'kernel-mapping',
  question: 'What if the map of a user’s page table is used where that of the kernel’s is due?',
  asked: 'thread 001, "have used userspace pte_offset_map() where pte_offset_kernel() is more correct", 9 May 2023',
  cpus: 2,
  archs: ['x86_64', 'x86-pae'],
  designs: ['vma-lock'],
  setUp: async (stage) => {
    const initMm = stage.newMm([]).mm
    const first = stage.table(4)
    const driver = await stage.program<typeof import('./programs/vmalloc.ts')>('vmalloc')
    const cpu = (page: number) => [
      stage.call(`vmap(${page})`, () => driver.mapKernelPage(initMm, page)),
      stage.call(`vunmap(${page})`, () => driver.unmapKernelPage(initMm, page)),
    ]
    return {
      calls: [cpu(first), cpu(first + 1)],
      check: (results) => (results.flat().some((result) => result !== 0) ? `a call failed: ${results.join('; ')}` : ''),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'user-map',
      wrong: 'pteOffsetMap is used, and what it holds is never given back',
      edits: [
        { file: 'pagetable/vmalloc.ts', from: '  const ptep = pteOffsetKernel(pmd, vpn)\n', to: '  const ptep = pteOffsetMap(pmd, vpn)\n' },
        { file: 'pagetable/vmalloc.ts', from: 'import { pteOffsetKernel } from', to: 'import { pteOffsetKernel, pteOffsetMap } from' },
      ],
      unsafe: /unbalanced: .* inside the RCU section/,
    },
    {
      name: 'user-unmap',
      wrong: 'pteUnmap is called for what pteOffsetKernel gave',
      edits: [
        { file: 'pagetable/vmalloc.ts', from: '  const pte = ptepGet(ptep)\n', to: '  const pte = ptepGet(ptep)\n  pteUnmap(ptep)\n' },
        { file: 'pagetable/vmalloc.ts', from: 'import { pteOffsetKernel } from', to: 'import { pteOffsetKernel, pteUnmap } from' },
      ],
      unsafe: /unbalanced: .* that it never entered/,
    },
  ],
})
