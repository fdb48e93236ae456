// A scenario about system calls alone: it needs no program, and its variants break the kernel. Run it with
//
//   npx gracewalk check --file examples/my-scenario/two-mprotects.mjs --design vma-lock --arch x86_64
import { scenario, Vm } from 'gracewalk/check'

export const twoMprotects = scenario({
  name: 'two-mprotects',
  question: 'May an mprotect that merges VMAs run beside one that splits them?',
  asked: 'mprotect_fixup(), vma_modify_flags()',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(1)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.mprotect(page + 1, 1, Vm.read))
    return { calls: [[mm.mprotect(page, 2, Vm.read | Vm.write)], [mm.mprotect(page + 1, 1, Vm.read)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'found-before-the-lock',
      wrong: 'mprotect finds its first VMA before it has mmap_lock',
      edits: [
        { file: 'syscall/mprotect.ts', from: '  mmapWriteLock(mm)\n', to: '  const first = findVma(mm, start)\n  mmapWriteLock(mm)\n' },
        { file: 'syscall/mprotect.ts', from: 'const vma = findVma(mm, at)', to: 'const vma = at === start ? first : findVma(mm, at)' },
      ],
      unsafe: /use after free|freed/,
    },
    {
      name: 'to-the-end-of-the-vma',
      wrong: 'mprotect does not stop at the end of its range',
      edits: [{ file: 'syscall/mprotect.ts', from: '      if (stop > end) stop = end\n', to: '' }],
      unsafe: /no order of the calls explains their results/,
    },
  ],
})
