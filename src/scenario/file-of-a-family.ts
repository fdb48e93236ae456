// A mapping keeps its file. The child's mappings do so by references of their own: the parent may unmap, and close, what it shared.
import { READ_WRITE } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0, the parent, unmaps a file; CPU 1, the child, reads it for the first time. Nobody else has it open. */
export const fileOfAFamily = scenario({
  name: 'file-of-a-family',
  question: 'Does a mapping that a child has from its parent keep the file when the parent unmaps it?',
  asked: 'field: get_file in dup_mmap',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    const file = stage.file(1)
    stage.now(0, parent.mmap(page, 1, READ_WRITE, file))
    stage.now(0, file.close)
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return { calls: [[parent.munmap(page, 1)], [child.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-reference-of-its-own',
      wrong: 'fork gives the child’s mapping no reference to its file',
      edits: [{ file: 'syscall/fork.ts', from: '  if (file !== 0) getFile(file)\n', to: '' }],
      unsafe: /freed|reused|refcount/,
    },
  ],
})
