// Who waits for whom when a fault waits for a disk? With the rule that such a fault drops mmap_lock and comes back, nobody waits for
// it; without the rule every writer of the address space waits for the disk, whatever it changes. The checker knows no time: that
// somebody waits is that an order of events is impossible. Both are safe otherwise.
import { fileFaultVsMunmap } from './file-fault-vs-munmap.ts'
import { SHARED } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/**
 * CPU 0 reads a page of a file on a disk; CPU 1 unmaps a mapping that has nothing to do with it. The claim is that the munmap does not
 * begin and end while the disk is read. It is what one would not like to be true: `mmap-lock` violates it, and is meant to.
 */
export const diskWaitVsMunmap = scenario({
  name: 'disk-wait-vs-munmap',
  question: 'Does a munmap of another mapping wait for the disk that a fault waits for?',
  asked: 'thread 003, Splitting the mmap_sem: mmap_sem is held while waiting for I/O; VM_FAULT_RETRY and maybe_unlock_mmap_for_io',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock', 'mmap-lock-held'],
  setUp: async (stage) => {
    const { isBeingRead } = await stage.program<typeof import('./programs/disk.ts')>('disk')
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2, true)
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    // Another page of the file has been read: the tables are there.
    stage.now(0, mm.read(page + 1))
    stage.now(0, mm.mmap(page + 3, 1))
    const look = stage.call('is page 0 of the file being read?', () => isBeingRead(file.inode, 0))
    return {
      calls: [[mm.read(page)], [look, mm.munmap(page + 3, 1), look]],
      // It is read once: if it was being read before and after, then also in between.
      check: ([, cpu1]) => (cpu1?.[0] === 1 && cpu1[2] === 1 ? 'a munmap began and ended while the disk was read' : ''),
    }
  },
  expect: ({ design }) => (design === 'mmap-lock-held' ? 'safe' : { unsafe: /began and ended while the disk was read/ }),
})

/** CPU 0 waits for the disk with mmap_lock held; CPU 1 unmaps the mapping on which it faults. */
export const diskWaitVsMunmapOfTheMapping = scenario({
  ...fileFaultVsMunmap,
  name: 'disk-wait-vs-munmap-of-the-mapping',
  question: 'May a munmap take away the mapping of a file on which a fault, holding mmap_lock, waits for the disk?',
  designs: ['mmap-lock-held'],
  variants: [
    {
      name: 'released-unasked',
      wrong: 'a fault drops mmap_lock to wait for the disk although its design does not come back',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  const mayDrop = slow && (flags & FaultFlag.allowRetry) !== 0 && (flags & FaultFlag.tried) === 0\n',
          to: '  const mayDrop = slow\n',
        },
      ],
      unsafe: /unbalanced|does not hold|lock order|deadlock|not held/,
    },
  ],
})
