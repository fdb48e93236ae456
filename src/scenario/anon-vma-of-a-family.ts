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

/**
 * Parent and child fork at the same time; the grandparent has unmapped its memory and left an anon_vma that nobody uses. One of the two new VMAs
 * may take it over, and nobody else's.
 */
export const anonVmaTakenOver = scenario({
  name: 'anon-vma-taken-over',
  question: 'May an anon_vma be taken over by two VMAs, or by one while another uses it?',
  asked: 'bugs.md, B26: anon_vma->degree and double reuse (2555283eb40d, CVE-2022-42703)',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // fork holds mmap_lock for writing under every design
  setUp: async (stage) => {
    const { forkAndNote } = await stage.program<typeof import('./programs/fork.ts')>('fork')
    const first = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, first.mmap(page, 1))
    stage.now(0, first.write(page, 1))
    const grandparent = stage.callsOn(stage.now(0, first.fork()), [])
    const parent = stage.callsOn(stage.now(0, grandparent.fork()), [])
    const child = stage.callsOn(stage.now(0, parent.fork()), [])
    stage.now(0, grandparent.munmap(page, 1))
    const notes = stage.words(4)
    const { words } = stage.machine
    const forks = [parent, child].map((one, i) => ({
      ...one.fork(),
      begin: () => forkAndNote(one.mm, page, notes + 2 * i),
    }))
    return {
      calls: forks.map((fork) => [fork]),
      check: () => {
        const used = [0, 1, 2, 3].map((i) => words[notes + i] as number)
        return new Set(used).size === used.length ? '' : 'two VMAs use one anon_vma as their own'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'used-by-somebody',
      wrong: 'an anon_vma with at most one child may be taken over although a VMA uses it',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: 'load(anonVma + AnonVma.numChildren) < 2 && load(anonVma + AnonVma.numActiveVmas) === 0',
          to: 'load(anonVma + AnonVma.numChildren) < 2',
        },
      ],
      unsafe: /two VMAs use one anon_vma/,
    },
    {
      name: 'looked-at-before-the-lock',
      wrong: 'whether an anon_vma is unused is looked at without the lock of the root',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '    spinLock(root + AnonVma.lock)\n    // Newest first',
          to: '    const unused = readOnce(anonVma + AnonVma.numChildren) < 2 && readOnce(anonVma + AnonVma.numActiveVmas) === 0\n    spinLock(root + AnonVma.lock)\n    // Newest first',
        },
        {
          file: 'vma/anon-vma.ts',
          from: '    const unused = load(anonVma + AnonVma.numChildren) < 2 && load(anonVma + AnonVma.numActiveVmas) === 0\n',
          to: '',
        },
      ],
      unsafe: /two VMAs use one anon_vma|data race|is not ordered with/,
    },
  ],
})
