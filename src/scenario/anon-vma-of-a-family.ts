// The counts of a family of anon_vmas lie under the lock of its root: parent and child hold different mmap_locks.
import { Vm } from '../kernel/vma/vma.ts'
import { READ_WRITE } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** The parent's first write to a mapping next to a forked one shares that one's anon_vma; the child leaves it meanwhile. */
export const anonVmaOfAFamily = scenario({
  name: 'anon-vma-of-a-family',
  question: 'May parent and child change the users of one root anon_vma at the same time?',
  asked: 'field: anon_vma_prepare and unlink_anon_vmas, the lock of the root',
  cpus: 2,
  setUp: (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.mmap(page + 1, 1, READ_WRITE | Vm.exec))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [])
    return { calls: [[parent.write(page + 1, 2)], [child.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'first-write-without-the-root',
      wrong: 'a first write links its VMA under the mm alone, without the lock of the root',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '  spinLock(root + AnonVma.lock)\n  spinLock(mm + Mm.pageTableLock)',
          to: '  spinLock(mm + Mm.pageTableLock)',
        },
        {
          file: 'vma/anon-vma.ts',
          from: '  spinUnlock(mm + Mm.pageTableLock)\n  spinUnlock(root + AnonVma.lock)',
          to: '  spinUnlock(mm + Mm.pageTableLock)',
        },
      ],
      unsafe: /data race|leak|freed/,
    },
    {
      name: 'leaves-without-the-root',
      wrong: 'a VMA leaves its anon_vmas without the lock of the root',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '  spinLock(root + AnonVma.lock)\n  const links = load',
          to: '  const links = load',
        },
        {
          file: 'vma/anon-vma.ts',
          from: '  spinUnlock(root + AnonVma.lock)\n  if (links === 0 && anonVma !== root)',
          to: '  if (links === 0 && anonVma !== root)',
        },
      ],
      unsafe: /data race|leak|freed/,
    },
  ],
})
