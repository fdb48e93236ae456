// mm_count keeps the structure of an address space, mm_users what is in it. A reader of /proc that holds the first must get the second,
// if there is any left, before it walks.
import { Mm } from '../kernel/memory/mm.ts'
import { type Expectation, type Scenario, scenario, type Variant } from './scenario.ts'

/** CPU 0 is the last to use an address space; CPU 1 reads it by `walk`, having its structure since the set-up. */
function walkBesideExit(
  name: string,
  walk: 'walkOfAUser' | 'walkByCount',
  question: string,
  expect: Expectation,
  variants: Variant[],
): Scenario {
  return scenario({
    name,
    question,
    asked: 'field: mmget_not_zero and mmgrab; readers of /proc beside exit_mmap; thread 000: a process that is not the reader’s own',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'], // no fault, no look-up
    setUp: async (stage) => {
      const program = await stage.program<typeof import('./programs/mm-users.ts')>('mm-users')
      const parent = stage.newMm([0])
      const page = stage.table(4)
      stage.now(0, parent.mmap(page, 1))
      stage.now(0, parent.write(page, 1))
      const child = stage.callsOn(stage.now(0, parent.fork()), [])
      stage.now(
        1,
        stage.call('open', () => program.grab(child.mm)),
      )
      return { calls: [[child.exit()], [stage.call('read', () => program[walk](child.mm, page, page + 1))]] }
    },
    expect,
    variants,
  })
}

/** The reader becomes a user, if there is one left. */
export const walkOfAUserVsExit: Scenario = walkBesideExit(
  'walk-of-a-user-vs-exit',
  'walkOfAUser',
  'May a process be read while its last thread exits, by who has become a user of its address space?',
  'safe',
  [
    {
      name: 'up-from-zero',
      wrong: 'a reader becomes a user although there was none left',
      edits: [{ file: 'sync/refcount.ts', from: '    if (old === 0) return 0\n', to: '' }],
      unsafe: /freed|reused/,
    },
    {
      name: 'users-counted-in-two-steps',
      wrong: 'who leaves reads the count of users and then writes it',
      edits: [
        {
          file: 'syscall/exit.ts',
          from: '  if (atomicAdd(mm + Mm.users, -1) === 0) exitMmap(mm)\n',
          to: '  const left = readOnce(mm + Mm.users) - 1\n  writeOnce(mm + Mm.users, left)\n  if (left === 0) exitMmap(mm)\n',
        },
        {
          file: 'syscall/exit.ts',
          from: "import { atomicAdd, load, store } from '../machine/instructions.ts'",
          to: "import { atomicAdd, load, readOnce, store, writeOnce } from '../machine/instructions.ts'",
        },
      ],
      unsafe: /freed|leak|reused|map count/, // nobody is the last: the page is never unmapped
    },
    {
      name: 'structure-counted-in-two-steps',
      wrong: 'who lets go of the structure reads its count and then writes it',
      edits: [
        {
          file: 'memory/mm.ts',
          from: '  if (atomicAdd(mm + Mm.count, -1) !== 0) return\n',
          to: '  const left = readOnce(mm + Mm.count) - 1\n  writeOnce(mm + Mm.count, left)\n  if (left !== 0) return\n',
        },
        {
          file: 'memory/mm.ts',
          from: 'import { atomicAdd, cmpxchg, load, readOnce, smpProcessorId, store }',
          to: 'import { atomicAdd, cmpxchg, load, readOnce, smpProcessorId, store, writeOnce }',
        },
      ],
      unsafe: /freed|leak/,
    },
  ],
)

/** The reader has the structure alone. */
export const walkByCountVsExit: Scenario = walkBesideExit(
  'walk-by-count-vs-exit',
  'walkByCount',
  'May a process be read while its last thread exits, by who only keeps the structure of its address space?',
  { unsafe: /freed|reused/ },
  [],
)

/** Both CPUs keep the structure of an address space that is alive, and let it go. */
export const mmKeptTwice = scenario({
  name: 'mm-kept-twice',
  question: 'May two keep the structure of an address space, and let it go, at the same time?',
  asked: 'field: mmgrab and mmdrop hold no lock: mm_count is atomic; bugs.md, B15: late readers of a VMA that another mm has got',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // no fault, no look-up
  setUp: async (stage) => {
    const { grabAndDrop } = await stage.program<typeof import('./programs/mm-users.ts')>('mm-users')
    const { mm } = stage.newMm()
    const keep = stage.call('mmgrab(), mmdrop()', () => grabAndDrop(mm))
    return {
      calls: [[keep], [keep]],
      check: () =>
        stage.machine.words[mm + Mm.count] === 1
          ? ''
          : 'the address space is alive, and its structure has more or fewer references than that',
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'kept-in-two-steps',
      wrong: 'who keeps the structure reads its count and then writes it',
      edits: [
        {
          file: 'memory/mm.ts',
          from: '  atomicAdd(mm + Mm.count, 1)\n',
          to: '  writeOnce(mm + Mm.count, readOnce(mm + Mm.count) + 1)\n',
        },
        {
          file: 'memory/mm.ts',
          from: 'import { atomicAdd, cmpxchg, load, readOnce, smpProcessorId, store }',
          to: 'import { atomicAdd, cmpxchg, load, readOnce, smpProcessorId, store, writeOnce }',
        },
      ],
      unsafe: /more or fewer references|freed/,
    },
  ],
})
