// Numbers that the machine gives out: address spaces have one each, and so have files that are made for shared anonymous memory (the
// inode number that /proc shows). Two that are made at the same time must not get the same.
import { Mm } from '../kernel/memory/mm.ts'
import { SHARED } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** Both CPUs fork, each another address space, in which nothing is mapped. */
export const twoForksAtOnce = scenario({
  name: 'two-forks-at-once',
  question: 'May two address spaces that are made at the same time get the same number?',
  asked: 'field: mm_alloc_id; two processes that fork share no lock',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // no VMA, no fault
  setUp: (stage) => {
    const { words } = stage.machine
    const [one, other] = [stage.newMm([0]), stage.newMm([1])]
    return {
      calls: [[one.fork()], [other.fork()]],
      check: (results) => {
        const [first, second] = results.flat() as [number, number]
        return words[first + Mm.id] !== words[second + Mm.id] ? '' : 'two address spaces have the same number'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'counted-in-two-steps',
      wrong: 'who makes an address space reads the last number and then writes it',
      edits: [
        {
          file: 'syscall/exit.ts',
          from: 'store(mm + Mm.id, atomicAdd(Global.nextMmId, 1))',
          to: 'store(mm + Mm.id, readOnce(Global.nextMmId) + 1)\n  writeOnce(Global.nextMmId, load(mm + Mm.id))',
        },
        {
          file: 'syscall/exit.ts',
          from: "import { atomicAdd, load, store } from '../machine/instructions.ts'",
          to: "import { atomicAdd, load, readOnce, store, writeOnce } from '../machine/instructions.ts'",
        },
      ],
      unsafe: /the same number/,
    },
  ],
})

/** Both CPUs map shared anonymous memory, each in another address space. */
export const twoSharedMappingsAtOnce = scenario({
  name: 'two-shared-mappings-at-once',
  question: 'May two files that are made for shared anonymous memory at the same time get the same inode number?',
  asked: 'field: shmem_zero_setup, shmem_get_inode and get_next_ino; two processes that map memory share no lock',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // no fault
  setUp: async (stage) => {
    const { inodeNumber } = await stage.program<typeof import('./programs/identities.ts')>('identities')
    const page = stage.table(4)
    const mapAndLook = (cpu: number) => {
      const mm = stage.newMm([cpu])
      return [mm.mmap(page, 1, SHARED), stage.call('its inode number', () => inodeNumber(mm.mm, page))]
    }
    return {
      calls: [mapAndLook(0), mapAndLook(1)],
      check: ([first, second]) => (first?.[1] !== second?.[1] ? '' : 'two files have the same inode number'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-first-reference',
      wrong: 'a file that is made has no reference',
      edits: [{ file: 'memory/file.ts', from: '  smpStoreRelease(file + File.refcount, 1)\n', to: '' }],
      unsafe: /freed|leak|reference/,
    },
    {
      name: 'counted-in-two-steps',
      wrong: 'who makes a file reads the last number and then writes it',
      edits: [
        {
          file: 'syscall/mmap.ts',
          from: 'shmemFileSetup(pages, atomicAdd(Global.nextFileId, 1))',
          to: 'shmemFileSetup(pages, readOnce(Global.nextFileId) + 1)\n    writeOnce(Global.nextFileId, readOnce(Global.nextFileId) + 1)',
        },
        { file: 'syscall/mmap.ts', from: 'import { atomicAdd, load, store }', to: 'import { load, readOnce, store, writeOnce }' },
      ],
      unsafe: /the same inode number/,
    },
  ],
})
