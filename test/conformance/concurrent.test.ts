// The conformance suite, several CPUs at a time: each design on each architecture under random schedules of the stepped
// kernel, and more briefly on small machines under every way to free page tables. Every case says what may be seen; none may hang, and nothing is left after exit and a grace period.
import { describe, expect, test } from 'vitest'
import { openTree, randomScheduler, run, runAlone, type Scheduler, type Steps } from '../../src/check/index.ts'
import { pageToVirt } from '../../src/kernel/memory/page.ts'
import { freeings } from '../../src/kernel/pagetable/freeing.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Remap } from '../../src/kernel/syscall/mremap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { isDistinct } from '../../src/scenario/runner/axes.ts'
import { type Kernel, tearDown, type WholeMachine, wholeMachine } from '../check/whole-machine.ts'
import { combinations, furtherAxes, rbtreeCombinations, share } from '../combinations.ts'

const SEEDS = 60
const SMALL_SEEDS = 20
/** How long a CPU runs on: for a step, for about ten, for about a hundred (a whole call, with the others somewhere in theirs). */
const STAY = [0, 0.9, 0, 0.99]
const CPUS = 3
const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.account
const SEGV_MAPERR = -1
const SEGV_ACCERR = -2

/** What a case works with. */
interface Space {
  readonly whole: WholeMachine
  readonly kernel: Kernel
  readonly mm: number
  /** Eight mapped pages, readable and writable. */
  readonly page: number
}

interface Case {
  /** Schedules, if the usual number seldom shows what goes wrong without the code in question. */
  readonly seeds?: number
  /** Address spaces that the case adds to the first, in set-up (on CPU 0, alone). */
  readonly setUp?: (space: Space) => number[]
  readonly tasks: (space: Space, others: readonly number[]) => (() => Steps<unknown>)[]
  /** What is wrong afterwards, or ''. `results` are the tasks'. */
  readonly judge: (space: Space, results: readonly unknown[], others: readonly number[]) => string
}

/** Writes `value` into the first word of `page`. Returns 1, or the negated fault. */
function* write({ kernel, whole }: Space, page: number, value: number, word = 0): Steps<number> {
  const frame = yield* kernel.beginAccess(page, Access.write)
  if (frame < 0) return frame
  whole.machine.words[frame + word] = value
  yield* kernel.endAccess()
  return 1
}

/** Reads the first word of `page`, or returns the negated fault. */
function* read({ kernel, whole }: Space, page: number, word = 0): Steps<number> {
  const frame = yield* kernel.beginAccess(page, Access.read)
  if (frame < 0) return frame
  const value = whole.machine.words[frame + word] as number
  yield* kernel.endAccess()
  return value
}

function alone<T>(space: Space, task: () => Steps<T>, mm = space.mm): T {
  runAlone(space.whole.machine, () => space.kernel.sysSwitchMm(mm))
  return runAlone(space.whole.machine, task) as T
}

const CASES: Readonly<Record<string, Case>> = {
  'faults on one page meet in one page': {
    tasks: (s) => [() => write(s, s.page, 5, 0), () => write(s, s.page, 6, 1), () => read(s, s.page)],
    judge: (s, results) => {
      const seen = [alone(s, () => read(s, s.page, 0)), alone(s, () => read(s, s.page, 1))]
      return seen[0] === 5 && seen[1] === 6 && (results[2] === 0 || results[2] === 5) ? '' : `saw ${seen}, read ${results[2]}`
    },
  },
  'after mprotect has returned no write succeeds': {
    seeds: 400,
    // With an anon_vma there already, a first write needs no more than the VMA's own lock.
    setUp: (s) => {
      alone(s, () => write(s, s.page + 7, 1))
      return []
    },
    tasks: (s) => {
      let done = false
      return [
        function* () {
          yield* s.kernel.sysMprotect(s.mm, s.page, 2, Vm.read)
          done = true
        },
        function* () {
          for (let i = 0; i < 6; i++) {
            const late = done
            const got = yield* write(s, s.page, i)
            if (late && got !== SEGV_ACCERR) return `a late write gave ${got}`
            if (got !== 1 && got !== SEGV_ACCERR) return `a write gave ${got}`
          }
          return ''
        },
        function* () {
          return (yield* write(s, s.page + 2, 1)) === 1 ? '' : 'the pages behind are refused'
        },
      ]
    },
    judge: (_, results) => `${results[1]}${results[2]}`,
  },
  'a neighbour of what is split and merged stays usable': {
    seeds: 200,
    tasks: (s) => [
      function* () {
        yield* s.kernel.sysMprotect(s.mm, s.page + 2, 2, Vm.read)
        yield* s.kernel.sysMprotect(s.mm, s.page + 2, 2, Vm.read | Vm.write)
      },
      function* () {
        for (let i = 0; i < 5; i++) if ((yield* write(s, s.page + 1, i)) !== 1) return 'the page below was refused'
        return ''
      },
      function* () {
        for (let i = 0; i < 5; i++) if ((yield* write(s, s.page + 4, i)) !== 1) return 'the page above was refused'
        return ''
      },
    ],
    judge: (_, results) => `${results[1]}${results[2]}`,
  },
  'a fork sees a page before or after a write, and keeps what it saw': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      return []
    },
    tasks: (s) => [() => s.kernel.sysFork(s.mm), () => write(s, s.page, 2), () => write(s, s.page + 1, 3)],
    judge: (s, results) => {
      const child = results[0] as number
      const parentSaw = alone(s, () => read(s, s.page))
      const childSaw = alone(s, () => read(s, s.page), child)
      alone(s, () => write(s, s.page, 9), child)
      const after = alone(s, () => read(s, s.page))
      const left = tearDownChild(s, child)
      if (left !== '') return left
      return parentSaw === 2 && (childSaw === 1 || childSaw === 2) && after === 2
        ? ''
        : `parent ${parentSaw}, child ${childSaw}, then ${after}`
    },
  },
  'parent and child write one shared page at once': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      return [runAlone(s.whole.machine, () => s.kernel.sysFork(s.mm)) as number]
    },
    tasks: (s, [child = 0]) => [
      () => write(s, s.page, 2),
      function* () {
        yield* s.kernel.sysSwitchMm(child)
        return yield* write(s, s.page, 3)
      },
      () => read(s, s.page),
    ],
    judge: (s, results, [child = 0]) => {
      const seen = [alone(s, () => read(s, s.page)), alone(s, () => read(s, s.page), child)]
      return seen[0] === 2 && seen[1] === 3 && (results[2] === 1 || results[2] === 2) ? '' : `saw ${seen}, read ${results[2]}`
    },
  },
  'a copy-on-write fault meets the exit of the other side': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      const child = runAlone(s.whole.machine, () => s.kernel.sysFork(s.mm)) as number
      return [child]
    },
    tasks: (s, [child = 0]) => [
      () => write(s, s.page, 2, 1),
      // The space itself stays for the tear-down: everything in it goes.
      () => s.kernel.sysMunmap(child, s.page, 8),
      () => read(s, s.page),
    ],
    judge: (s, results) => {
      const seen = [alone(s, () => read(s, s.page)), alone(s, () => read(s, s.page, 1))]
      return seen[0] === 1 && seen[1] === 2 && results[2] === 1 ? '' : `saw ${seen}, read ${results[2]}`
    },
  },
  'a move takes the page along and leaves nothing behind': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 7))
      return []
    },
    tasks: (s) => {
      let done = false
      return [
        function* () {
          const to = yield* s.kernel.sysMremap(s.mm, s.page, 2, 2, Remap.mayMove | Remap.fixed, s.page + 32)
          done = true
          return to
        },
        function* () {
          for (let i = 0; i < 6; i++) {
            const late = done
            const got = yield* read(s, s.page)
            if (got !== 7 && got !== SEGV_MAPERR) return `a read gave ${got}`
            if (late && got !== SEGV_MAPERR) return 'the old place was read after the move had returned'
          }
          return ''
        },
      ]
    },
    judge: (s, results) => {
      const there = alone(s, () => read(s, s.page + 32))
      return there === 7 && results[0] === s.page + 32 ? `${results[1]}` : `moved to ${results[0]}, which holds ${there}`
    },
  },
  'DONTNEED empties a page or misses a write': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 7))
      return []
    },
    tasks: (s) => [
      () => s.kernel.sysMadvise(s.mm, s.page, 1, Advice.dontneed),
      () => write(s, s.page, 8, 1),
      () => write(s, s.page + 1, 4),
    ],
    judge: (s) => {
      const seen = `${alone(s, () => read(s, s.page))},${alone(s, () => read(s, s.page, 1))}`
      return seen === '0,8' || seen === '0,0' ? '' : `saw ${seen}`
    },
  },
  'mappings made at the same time do not overlap': {
    tasks: (s) => Array.from({ length: CPUS }, () => () => s.kernel.sysMmap(s.mm, 0, 3, RW, Placement.hint, 0, 0)),
    judge: (_, results) => {
      const starts = (results as number[]).toSorted((a, b) => a - b)
      return starts.every((start, i) => start > 0 && (i === 0 || start >= (starts[i - 1] as number) + 3)) ? '' : `mapped at ${starts}`
    },
  },
  'an access meets the end of an empty table': {
    seeds: 400,
    setUp: (s) => {
      alone(s, () => write(s, s.page, 7))
      alone(s, () => s.kernel.sysMadvise(s.mm, s.page, 8, Advice.dontneed))
      return []
    },
    tasks: (s) => {
      function* reads(): Steps<string> {
        for (let i = 0; i < 4; i++) {
          const got = yield* read(s, s.page + i)
          if (got !== 0 && got !== SEGV_MAPERR) return `a read gave ${got}`
        }
        return ''
      }
      function* unmaps(): Steps<string> {
        yield* s.kernel.sysMunmap(s.mm, s.page, 8)
        yield* s.kernel.enterKernel()
        yield* s.kernel.rcuBarrier()
        yield* s.kernel.exitKernel()
        return ''
      }
      return [unmaps, reads, reads]
    },
    judge: (_, results) => results.join(''),
  },
  'a fork is one moment, and no later write is the child’s': {
    seeds: 300,
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      alone(s, () => write(s, s.page + 4, 1))
      return []
    },
    tasks: (s) => {
      let forked = false
      return [
        function* () {
          const child = yield* s.kernel.sysFork(s.mm)
          forked = true
          return child
        },
        function* () {
          let late = 0
          for (let i = 2; i < 7; i++) {
            if (forked && late === 0) late = i
            if ((yield* write(s, s.page, i)) !== 1 || (yield* write(s, s.page + 4, i)) !== 1) return -1
          }
          return late
        },
        () => write(s, s.page + 6, 3),
      ]
    },
    judge: (s, results) => {
      const [child, late] = results as [number, number]
      const first = alone(s, () => read(s, s.page), child)
      const second = alone(s, () => read(s, s.page + 4), child)
      alone(s, () => read(s, s.page))
      tearDownChild(s, child)
      if (late < 0) return 'a write was refused'
      if (late > 0 && first >= late) return `the child sees ${first}, written after fork had returned (from ${late} on)`
      return first - second === 0 || first - second === 1 ? '' : `the child sees ${second} without ${first} before it`
    },
  },
  'a pinned page stays the parent’s': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      return []
    },
    tasks: (s) => {
      return [
        function* () {
          const pinned = yield* s.kernel.sysPinUserPage(s.mm, s.page, Access.write)
          const child = yield* s.kernel.sysFork(s.mm)
          yield* write(s, s.page, 2)
          const seen = s.whole.machine.words[pageToVirt(pinned)]
          yield* s.kernel.sysUnpinUserPage(pinned)
          return [child, seen]
        },
        () => write(s, s.page + 1, 3),
        () => s.kernel.sysMprotect(s.mm, s.page + 4, 2, Vm.read),
      ]
    },
    judge: (s, results) => {
      const [child, seen] = results[0] as [number, number]
      const copied = alone(s, () => read(s, s.page), child)
      tearDownChild(s, child)
      return seen === 2 && copied === 1 ? '' : `the pin sees ${seen}, the child ${copied}`
    },
  },
  'after a write has returned nobody reads what was there before': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      alone(s, () => read(s, s.page + 1))
      return [alone(s, () => s.kernel.sysFork(s.mm))]
    },
    tasks: (s) => {
      let done = false
      function* reads(): Steps<string> {
        for (let i = 0; i < 8; i++) {
          const late = done
          const copied = yield* read(s, s.page)
          const fresh = yield* read(s, s.page + 1)
          if (late ? copied !== 2 || fresh !== 2 : copied < 1 || fresh < 0) return `reads gave ${copied} and ${fresh}`
        }
        return ''
      }
      return [
        function* () {
          yield* write(s, s.page, 2)
          yield* write(s, s.page + 1, 2)
          done = true
          return ''
        },
        reads,
        reads,
      ]
    },
    judge: (_, results) => results.join(''),
  },
  'what several munmaps took is gone for a CPU that was outside': {
    setUp: (s) => {
      for (let i = 0; i < 8; i++) alone(s, () => write(s, s.page + i, 7))
      return []
    },
    tasks: (s) => {
      let gone = 0
      return [
        function* () {
          for (const at of [5, 1, 7]) {
            yield* s.kernel.sysMunmap(s.mm, s.page + at, 1)
            gone |= 1 << at
          }
          return ''
        },
        function* () {
          for (let i = 0; i < 4; i++) {
            for (const at of [1, 5, 7]) {
              const late = (gone & (1 << at)) !== 0
              const got = yield* read(s, s.page + at)
              if (late ? got !== SEGV_MAPERR : got !== 7 && got !== SEGV_MAPERR) return `page ${at} gave ${got}`
            }
          }
          return ''
        },
        function* () {
          return (yield* read(s, s.page + 2)) === 7 ? '' : 'a page between them has gone'
        },
      ]
    },
    judge: (_, results) => results.join(''),
  },
  'DONTNEED beside DONTNEED has emptied the page when it returns': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 7))
      return []
    },
    tasks: (s) => {
      function* empties(): Steps<string> {
        yield* read(s, s.page)
        yield* s.kernel.sysMadvise(s.mm, s.page, 1, Advice.dontneed)
        const got = yield* read(s, s.page)
        return got === 0 ? '' : `a read after it gave ${got}`
      }
      return [empties, empties, () => s.kernel.sysMadvise(s.mm, s.page, 1, Advice.dontneed)]
    },
    judge: (_, results) => `${results[0]}${results[1]}`,
  },
  'a write beside a move is not lost': {
    seeds: 300,
    // With an anon_vma there already, a first write needs no more than the VMA's own lock.
    setUp: (s) => {
      alone(s, () => write(s, s.page + 7, 1))
      return []
    },
    tasks: (s) => [
      () => s.kernel.sysMremap(s.mm, s.page, 2, 2, Remap.mayMove | Remap.fixed, s.page + 32),
      () => write(s, s.page + 1, 5),
      () => write(s, s.page, 4),
    ],
    judge: (s, results) => {
      const seen = [alone(s, () => read(s, s.page + 32)), alone(s, () => read(s, s.page + 33))]
      const fits = (result: unknown, value: number, wrote: number): boolean =>
        result === 1 ? value === wrote : result === SEGV_MAPERR && value === 0
      return fits(results[2], seen[0] as number, 4) && fits(results[1], seen[1] as number, 5) ? '' : `writes ${results}, then ${seen}`
    },
  },
  'a first write beside the end of a neighbour with an anon_vma': {
    seeds: 300,
    setUp: (s) => {
      alone(s, () => s.kernel.sysMprotect(s.mm, s.page + 4, 4, Vm.read | Vm.write | Vm.exec))
      alone(s, () => write(s, s.page + 4, 7))
      return []
    },
    tasks: (s) => [
      () => write(s, s.page, 5),
      () => s.kernel.sysMunmap(s.mm, s.page + 4, 4),
      () => s.kernel.sysMmap(s.mm, s.page + 64, 2, RW | Vm.noReserve, Placement.fixed, 0, 0),
    ],
    judge: (s, results) => (results[0] === 1 && alone(s, () => read(s, s.page)) === 5 ? '' : `results ${results}`),
  },
  'a mapping goes and its memory becomes another space’s': {
    seeds: 200,
    setUp: (s) => {
      alone(s, () => write(s, s.page + 7, 1))
      return [runAlone(s.whole.machine, () => s.kernel.sysNewMm()) as number]
    },
    tasks: (s, [other = 0]) => [
      function* () {
        for (let i = 0; i < 4; i++) {
          const got = yield* write(s, s.page + i, 5)
          if (got !== 1 && got !== SEGV_MAPERR) return `a write gave ${got}`
        }
        return ''
      },
      function* () {
        yield* s.kernel.sysMunmap(s.mm, s.page, 8)
        yield* s.kernel.sysMmap(other, s.page, 8, RW, Placement.fixed, 0, 0)
        const got = yield* read(s, s.page)
        return got === SEGV_MAPERR ? '' : `a read after munmap gave ${got}`
      },
      function* () {
        yield* s.kernel.sysSwitchMm(other)
        for (let i = 0; i < 4; i++) {
          const got = yield* write(s, s.page + i, 6)
          if (got !== 1 && got !== SEGV_MAPERR) return `a write in the other space gave ${got}`
        }
        return ''
      },
    ],
    judge: (_, results) => results.join(''),
  },
  'two munmaps of one range': {
    setUp: (s) => {
      alone(s, () => write(s, s.page, 1))
      return []
    },
    tasks: (s) => [() => s.kernel.sysMunmap(s.mm, s.page, 4), () => s.kernel.sysMunmap(s.mm, s.page + 1, 4), () => write(s, s.page + 6, 2)],
    judge: (s, results) => {
      const gone = [0, 1, 2, 3, 4].every((i) => alone(s, () => read(s, s.page + i)) === SEGV_MAPERR)
      return gone && results[0] === 0 && results[1] === 0 && results[2] === 1 ? '' : `results ${results}, gone ${gone}`
    },
  },
}

function tearDownChild(space: Space, child: number): string {
  runAlone(space.whole.machine, () => space.kernel.sysSwitchMm(0))
  runAlone(space.whole.machine, () => space.kernel.sysExit(child))
  return ''
}

/**
 * The CPUs run one after the other, but at two random steps the one that runs falls back behind all others (probabilistic
 * concurrency testing): it stops anywhere in a call while others make whole ones.
 */
function fallingBehind(seed: number): Scheduler {
  const dice = randomScheduler(seed)
  const many = new Int32Array(512)
  const priority = Array.from({ length: CPUS }, () => dice.choose(many, 512))
  const stops = [dice.choose(many, 512), dice.choose(many, 256)]
  let step = 0
  return {
    choose: (agents, count) => {
      let best = 0
      for (let i = 0; i < count; i++) {
        const agent = agents[i] as number
        if (agent < 0) return i
        if ((priority[agent] as number) > (priority[agents[best] as number] as number)) best = i
      }
      if (stops.includes(step++)) priority[agents[best] as number] = -step
      return best
    },
  }
}

const tree = await openTree()
/** Policies that are no drafts. */
const SOUND = freeings.filter(({ draft }) => draft !== true).map(({ name }) => name)
/** Policies under which tables outlive an RCU section. */
const THROUGH_RCU = SOUND.filter(
  (name) => name.startsWith('pte-free-defer') || (name.startsWith('rcu-batch') && !name.endsWith('ipi-fallback')),
)

/** Runs `schedules` schedules of one case on `whole`, whose address space has its eight pages at page `at`. */
function tryOut(whole: WholeMachine, at: number, { setUp, tasks, judge }: Case, schedules: number): void {
  const { machine, kernel } = whole
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  const page = runAlone(machine, () => kernel.sysMmap(mm, at, 8, RW, Placement.fixed, 0, 0)) as number
  const space: Space = { whole, kernel, mm, page }
  const others = setUp?.(space) ?? []
  for (let cpu = 0; cpu < CPUS; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const before = machine.words.slice()
  for (let seed = 0; seed < schedules; seed++) {
    machine.words.set(before)
    const outcome = run(
      machine,
      tasks(space, others),
      seed % 3 === 2 ? fallingBehind(seed) : randomScheduler(seed, STAY[seed % STAY.length]),
      { maxSteps: 50_000 },
    )
    const wrong = outcome.message || judge(space, outcome.results, others) || tearDown(whole, [mm, ...others])
    if (wrong !== '') expect.fail(`seed ${seed}: ${wrong}`)
  }
}

describe.each(combinations)('%s on %s', (design, arch, parts, part) => {
  test.each(share(Object.entries(CASES), parts, part))('%s', async (_, one) => {
    tryOut(await wholeMachine(tree, arch, design, CPUS), 1000, one, one.seeds ?? SEEDS)
  })

  // Who walks holding mmap_lock or a VMA's lock may have any policy but the broken draft; a fault on a copy of its VMA holds neither.
  const policies = (/^(speculative|rcu-fault|srcu)/.test(design) ? THROUGH_RCU : SOUND).filter((freeing) => isDistinct(freeing, arch))
  test.each(policies)('small, page tables freed by %s', async (freeing) => {
    for (const one of share(Object.values(CASES), parts, part)) {
      tryOut(await wholeMachine(tree, arch, design, CPUS, { geometry: 'small', freeing }), 100, one, SMALL_SEEDS)
    }
  })
})

describe.each(rbtreeCombinations)('%s on %s, VMAs in an rbtree', (design, arch, parts, part) => {
  test.each(share(Object.entries(CASES), parts, part))('%s', async (_, one) => {
    tryOut(await wholeMachine(tree, arch, design, CPUS, { index: 'rbtree' }), 1000, one, one.seeds ?? SEEDS)
  })
})

describe.each(furtherAxes)('with %s', (_, axes, pairs) => {
  test.each(pairs)('%s on %s', async (design, arch) => {
    const small = { geometry: 'small', freeing: arch === 'x86_64' ? 'rcu-batch' : 'pte-free-defer', ...axes } as const
    for (const one of Object.values(CASES)) tryOut(await wholeMachine(tree, arch, design, CPUS, small), 100, one, SMALL_SEEDS)
  })
})
