// A fault on a file mapping uses the file and its inode for long, and holds nothing that keeps munmap from letting go of them.
import { Placement } from '../kernel/syscall/mmap.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

const SHARED = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.shared | Vm.mayShare

/** CPU 0 faults on a page of a file while CPU 1 unmaps the file's only mapping, and with it ends the file and its inode. */
export const speculativeFaultOnFile = scenario({
  name: 'speculative-fault-on-file',
  question: 'May a fault without locks use the file of its VMA while munmap lets go of it?',
  asked: 'thread 002: file mappings are left out of the series, for they are less mature; field: rcu safe freeing of vm_file',
  cpus: 2,
  designs: ['speculative-file'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const { kernel } = stage
    const mm = stage.newMm()
    const page = stage.table(4)
    const inode = stage.now(
      0,
      stage.call('inode_create()', () => kernel.inodeCreate(2, 0, 1, 1)),
    )
    const file = stage.now(
      0,
      stage.call('open()', () => kernel.fileOpen(inode)),
    )
    stage.now(
      0,
      stage.call('mmap(file)', () => kernel.sysMmap(mm.mm, page, 2, SHARED, Placement.fixed, file, 0)),
    )
    stage.now(0, stage.call('read', mm.read(page).begin))
    // From here on the mapping has the file's only reference, and the file the inode's.
    stage.now(
      0,
      stage.call('close()', () => kernel.putFile(file)),
    )
    stage.now(
      0,
      stage.call('iput()', () => kernel.iput(inode)),
    )
    return { calls: [[stage.call('read the file', mm.read(page + 1).begin)], [stage.call('munmap', mm.munmap(page, 2).begin)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-reference',
      wrong: 'the fault takes no reference to the file',
      edits: [
        {
          file: 'design/speculative.ts',
          from: '  return (form & Form.files) !== 0 && getFileNotZero(file) !== 0 ? 0 : Outcome.file\n',
          to: '  return 0\n',
        },
        { file: 'design/speculative.ts', from: '  if (file !== 0) putFile(file)\n', to: '  if (file < 0) putFile(file)\n' },
      ],
      unsafe: /use after free: CPU 0|kmemCacheFree .* is not ordered with a plain load/,
    },
    {
      name: 'reference-from-zero',
      wrong: 'the fault takes a reference to a file that has none left',
      edits: [
        {
          file: 'memory/file.ts',
          from: '  return refcountIncNotZero(file + File.refcount)\n',
          to: '  refcountInc(file + File.refcount)\n  return 1\n',
        },
      ],
      unsafe: /use after free: CPU 0/,
    },
  ],
})
