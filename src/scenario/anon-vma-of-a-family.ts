// The counts of a family of anon_vmas lie under the lock of its root: parent and child hold different mmap_locks.
import { Remap } from '../kernel/syscall/mremap.ts'
import { AnonVma, AnonVmaChain } from '../kernel/vma/anon-vma.ts'
import { Vm, Vma } from '../kernel/vma/vma.ts'
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

/** The last VMA that uses an anon_vma leaves it while a fork of a descendant asks whether anybody uses it. */
export const anonVmaLeftBesideFork = scenario({
  name: 'anon-vma-left-beside-fork',
  question: 'May a fork ask whether an anon_vma is used while its last user leaves it?',
  asked: 'bugs.md, B26: num_active_vmas in anon_vma_clone and unlink_anon_vmas, under the lock of the root',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // fork and munmap hold mmap_lock for writing under every design
  setUp: (stage) => {
    const first = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, first.mmap(page, 1))
    stage.now(0, first.write(page, 1))
    const parent = stage.callsOn(stage.now(0, first.fork()), [])
    const child = stage.callsOn(stage.now(0, parent.fork()), [])
    return { calls: [[parent.munmap(page, 1)], [child.fork()]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'counted-without-the-root',
      wrong: 'the VMAs that use an anon_vma are counted without the lock of the root',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '  const root = load(anonVma + AnonVma.root)\n  spinLock(root + AnonVma.lock)\n  store(anonVma + AnonVma.numActiveVmas, load(anonVma + AnonVma.numActiveVmas) + delta)\n  spinUnlock(root + AnonVma.lock)\n',
          to: '  store(anonVma + AnonVma.numActiveVmas, load(anonVma + AnonVma.numActiveVmas) + delta)\n',
        },
      ],
      unsafe: /data race/,
    },
  ],
})

/** Two CPUs write to different pages of a VMA to which nobody has written: each finds that it has no anon_vma, and one of them makes it. */
export const anonVmaOfTwoFirstWrites = scenario({
  name: 'anon-vma-of-two-first-writes',
  question: 'May two faults give one VMA two anon_vmas?',
  asked: 'field: __anon_vma_prepare, someone may have been faster; page_table_lock against another fault',
  cpus: 2,
  archs: ['x86_64'],
  usually: { designs: ['mmap-lock'] }, // all others come back under mmap_lock for this
  setUp: async (stage) => {
    const { vmaOf } = await stage.program<typeof import('./programs/fork.ts')>('fork')
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    // Makes the tables, and no anon_vma.
    stage.now(0, mm.read(page))
    const vma = stage.now(
      0,
      stage.call('find_vma()', () => vmaOf(mm.mm, page)),
    )
    const { words } = stage.machine
    return {
      calls: [[mm.write(page, 1)], [mm.write(page + 1, 2)]],
      check: () => {
        const anonVma = words[vma + Vma.anonVma] as number
        const entry = words[vma + Vma.anonVmaChain] as number
        if (anonVma === 0) return 'the VMA has pages and no anon_vma'
        if (words[entry + AnonVmaChain.anonVma] !== anonVma || words[entry + AnonVmaChain.next] !== 0) return 'the VMA is in two anon_vmas'
        return words[anonVma + AnonVma.numActiveVmas] === 1 ? '' : 'the users of the anon_vma are miscounted'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-looked-at-again',
      wrong: 'a fault does not look again, under the lock, whether the VMA has an anon_vma by now',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '  const mine = load(vma + Vma.anonVma) === 0\n',
          to: '  const mine = load(vma + Vma.anonVma) === 0 || shared === 0\n',
        },
      ],
      unsafe: /two anon_vmas/,
    },
    {
      name: 'not-stored',
      wrong: 'the VMA enters the anon_vma, and does not name it as its own',
      edits: [
        { file: 'vma/anon-vma.ts', from: '    rcuAssignPointer(vma + Vma.anonVma, anonVma)\n', to: '' },
        { file: 'vma/anon-vma.ts', from: 'import { load, rcuAssignPointer, readOnce,', to: 'import { load, readOnce,' },
      ],
      unsafe: /no anon_vma|two anon_vmas/,
    },
  ],
})

/** CPU 1 moves the pages of a VMA to a new one below it, with MREMAP_DONTUNMAP; CPU 0 writes at the old place. Then the new VMA is the first to go. */
export const anonVmaForgotten = scenario({
  name: 'anon-vma-forgotten',
  question: 'Does a VMA whose pages were all moved away, and which stays, forget the anon_vma that it shared with them?',
  asked: 'field: dontunmap_complete, unlink_anon_vmas of the source; Linux 5.7, MREMAP_DONTUNMAP',
  cpus: 2,
  archs: ['x86_64'],
  usually: { designs: ['mmap-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.write(page + 2, 1))
    return { calls: [[mm.write(page + 2, 7)], [mm.mremap(page + 2, 1, 1, Remap.mayMove | Remap.fixed | Remap.dontUnmap, page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'kept-as-its-own',
      wrong: 'a VMA that leaves its anon_vmas goes on naming one of them as its own',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '  countActive(load(vma + Vma.anonVma), -1)\n  writeOnce(vma + Vma.anonVma, 0)\n',
          to: '  countActive(load(vma + Vma.anonVma), -1)\n',
        },
      ],
      unsafe: /use after free|freed/,
    },
  ],
})
