// A shared page of a file is mapped for reading first; a write makes the entry writable in place and the page dirty.
import { Page, PageFlag, pfnToVirt } from '../kernel/memory/page.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { SHARED } from './runner/calls.ts'
import { cachedFrame, pageOf } from './runner/space-lines.ts'
import { scenario } from './scenario.ts'

/** CPU 0 writes to a page that is mapped for reading; CPU 1 takes the right to write away. */
export const sharedWriteFaultVsMprotect = scenario({
  name: 'shared-write-fault-vs-mprotect',
  question: 'May a write fault make a shared page of a file writable after mprotect has taken the right away?',
  asked: 'field: do_shared_fault and wp_page_shared under the page-table lock, the VMA locked',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(1)
    const { words } = stage.machine
    stage.now(0, mm.mmap(page, 1, SHARED, file))
    stage.now(0, mm.read(page))
    return {
      calls: [[mm.write(page, 7)], [mm.mprotect(page, 1, Vm.read)]],
      check: () => {
        const pfn = cachedFrame(words, file.inode, 0)
        const dirty = (words[pageOf(words, pfn) + Page.flags] as number) & PageFlag.dirty
        return words[pfnToVirt(pfn)] === 7 && dirty === 0 ? 'the page was written, and nobody knows that it is dirty' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'page-not-marked',
      wrong: 'a write fault does not mark the page of the file dirty',
      edits: [
        {
          file: 'fault/copy-on-write.ts',
          from: '    if ((vmFlags & Vm.shared) !== 0) atomicOr(page + Page.flags, PageFlag.dirty)\n    else ',
          to: '    if ((vmFlags & Vm.shared) === 0) ',
        },
        { file: 'fault/copy-on-write.ts', from: 'import { atomicOr, copyPage', to: 'import { copyPage' },
      ],
      unsafe: /nobody knows that it is dirty/,
    },
  ],
})
