// The smaps walker: alone, it counts what the oracle says is there, whatever protects it; beside a munmap, what it is allowed to
// rely on depends on how page tables are freed, and schedules with two switches show that.
import { describe, expect, test } from 'vitest'
import { openTree, randomScheduler, run, runAlone, type Scheduler, type Steps } from '../../src/check/index.ts'
import { Op } from '../../src/compile/stepped/ops.ts'
import { Fragments, Invalidate } from '../../src/kernel/arch/arch.ts'
import * as native from '../../src/kernel/kernel.ts'
import { load, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu, SMAPS_RANGES } from '../../src/kernel/machine/percpu.ts'
import { getMmCounter, Rss } from '../../src/kernel/memory/mm.ts'
import { freeings } from '../../src/kernel/pagetable/freeing.ts'
import { SmapsWalk } from '../../src/kernel/proc/smaps.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import { archByName, soundArchitectures } from '../../src/machine/shape.ts'
import { createOracle, type Oracle } from '../../src/oracle/oracle.ts'
import { isDistinct } from '../../src/scenario/runner/axes.ts'
import { wholeMachine } from '../check/whole-machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.account
const PRIVATE_FIXED = 0x32
const FIRST = 100
const PAGES = 64
const LIST_PAGE = 4096
const archs = soundArchitectures.map(({ name }) => name)

/** Runs of pages that hold something, as the oracle sees them. */
function runs(oracle: Oracle, start: number, end: number): [number, number][] {
  const found: [number, number][] = []
  for (let page = start; page < end; page++) {
    const content = oracle.read(oracle.first, page * LIST_PAGE)
    if (!('stamp' in content) || content.stamp === 0) continue
    const last = found.at(-1)
    if (last !== undefined && last[1] === page) last[1] = page + 1
    else found.push([page, page + 1])
  }
  return found
}

function shown(): [number, number][] {
  const cpu = thisCpu()
  const count = Math.min(load(cpu + Cpu.smapsShown), SMAPS_RANGES)
  return Array.from({ length: count }, (_, i) => [load(cpu + Cpu.smapsRanges + 2 * i), load(cpu + Cpu.smapsRanges + 2 * i + 1)])
}

describe.each(archs.flatMap((arch) => (['real', 'small'] as const).map((geometry) => [arch, geometry] as const)))(
  '%s, %s',
  (arch, geometry) => {
    test('counts what the oracle has, under each protection', () => {
      const machine = bootMachine({ arch, geometry, cpus: 1, ...(geometry === 'real' ? { memory: 400 * 2 ** 16 } : {}) })
      attachCpu(machine, 0)
      const mm = native.sysNewMm()
      native.sysSwitchMm(mm)
      const oracle = createOracle()
      const dice = randomScheduler(7)
      const die = new Int32Array(256)
      const roll = (sides: number): number => dice.choose(die, sides)
      const seen = new Set<number>()
      for (let turn = 0; turn < 400; turn++) {
        const page = FIRST + roll(PAGES)
        const count = 1 + roll(Math.min(9, FIRST + PAGES - page))
        const act = roll(20)
        if (act === 0) {
          native.sysMmap(mm, page, count, RW, Placement.fixed, 0, 0)
          oracle.mmap(oracle.first, { address: page * LIST_PAGE, length: count * LIST_PAGE, prot: 3, flags: PRIVATE_FIXED })
        } else if (act === 1) {
          native.sysMunmap(mm, page, count)
          oracle.munmap(oracle.first, page * LIST_PAGE, count * LIST_PAGE)
        } else if (act === 2) {
          native.sysMadvise(mm, page, count, Advice.dontneed)
          oracle.madvise(oracle.first, page * LIST_PAGE, count * LIST_PAGE, Advice.dontneed)
        } else if (act < 6) native.userLoad(page, 0)
        else {
          native.userStore(page, 0, turn + 1)
          oracle.write(oracle.first, page * LIST_PAGE, turn + 1)
        }
        const from = FIRST + roll(PAGES / 2)
        const to = from + 1 + roll(PAGES / 2)
        const expected = runs(oracle, from, to)
        const present = expected.reduce((sum, [start, end]) => sum + end - start, 0)
        for (const how of Object.values(SmapsWalk)) {
          expect(native.sysSmaps(mm, from, to, how)).toBe(present)
          expect(shown()).toEqual(expected.slice(0, SMAPS_RANGES))
          expect([load(thisCpu() + Cpu.smapsShown), load(thisCpu() + Cpu.smapsDirty)]).toEqual([expected.length, present])
        }
        expect(native.sysSmaps(mm, 1, 255, SmapsWalk.rcu)).toBe(getMmCounter(mm, Rss.anon))
        seen.add(present)
      }
      expect(seen.size).toBeGreaterThan(10)
    })
  },
)

/**
 * CPU 0 takes `first` steps, CPU 1 then `second`; from there on CPU 0 goes before CPU 1, whose interrupts go before its
 * task: every place where a walker can be left behind, within every part of the munmap.
 */
function leftBehind(first: number, second: number): Scheduler {
  const steps = [0, 0]
  return {
    choose: (agents, count) => {
      const index = (agent: number): number => agents.subarray(0, count).indexOf(agent)
      const order = (steps[0] as number) < first ? [0, 1, ~1] : (steps[1] as number) < second ? [1, 0, ~1] : [0, ~1, 1]
      const agent = order.find((wanted) => index(wanted) >= 0) ?? (agents[0] as number)
      if (agent >= 0) (steps as number[])[agent] = (steps[agent] as number) + 1
      return index(agent)
    },
  }
}

/** Stops tried: every fifth step of the munmap (it takes about 150), and each of a walk. */
const FIRST_STOPS = 32
const SECOND_STOPS = 24
const tree = await openTree()
const ALL = freeings.map(({ name }) => name)

/** Under which policies a walker is wrong. */
const UNSAFE: Readonly<Record<keyof typeof SmapsWalk, (arch: string) => readonly string[]>> = {
  // The draft takes a page off its list by words that are a queued rcu_head: the callback behind it becomes another, and the mm is freed.
  mmapLock: (arch) => (archByName(arch).fragments === Fragments.halves ? ['pte-free-defer-one-head'] : []),
  rcu: () => ['immediate', 'ipi', 'ipi-all'],
  // In the kernel, which is not preempted: for a grace period that is as good as a section.
  bare: () => ['immediate', 'ipi', 'ipi-all'],
  // Where invalidations are broadcast nobody's flush waits for a CPU that has interrupts off.
  irqOff: (arch) => (archByName(arch).invalidate === Invalidate.ipi ? ['immediate'] : ['immediate', 'ipi']),
}

/** Whether a walk beside a munmap read a table that had been freed, in any of the schedules. */
async function readsFreedTable(arch: string, freeing: string, how: number): Promise<boolean> {
  const whole = await wholeMachine(tree, arch, 'vma-lock', 2, { geometry: 'small', freeing })
  const { machine, kernel } = whole
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  for (let cpu = 0; cpu < 2; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  runAlone(machine, () => kernel.sysMmap(mm, FIRST, 1, RW, Placement.fixed, 0, 0))
  runAlone(machine, () => kernel.userStore(FIRST, 0, 1))
  const before = machine.words.slice()
  const freed = new Set<number>()
  let found = false
  function* unmap(): Steps<void> {
    yield* kernel.sysMunmap(mm, FIRST, 1)
    yield* kernel.enterKernel()
    yield* kernel.rcuBarrier()
    yield* kernel.exitKernel()
  }
  for (let at = 0; at < FIRST_STOPS * SECOND_STOPS && !found; at++) {
    machine.words.set(before)
    freed.clear()
    tree.announce.observe((op, p, count) => {
      for (let i = 0; (op === Op.freed || op === Op.allocated) && i < count; i++) op === Op.freed ? freed.add(p + i) : freed.delete(p + i)
    })
    const outcome = run(
      machine,
      [unmap, () => kernel.sysSmaps(mm, FIRST, FIRST + 1, how)],
      leftBehind(5 * Math.trunc(at / SECOND_STOPS), at % SECOND_STOPS),
      {
        maxSteps: 20_000,
        onStep: (agent, op, a) => {
          if (agent === 1 && op === Op.readOnce && freed.has(a)) found = true
        },
      },
    )
    tree.announce.observe(null)
    if (outcome.verdict === 'error' && freeing === 'pte-free-defer-one-head' && archByName(arch).fragments === Fragments.halves) {
      // Whoever walks: the callback follows the words of a list in memory that is free.
      expect(outcome.message).toMatch(/wild pointer/)
      continue
    }
    expect(found ? 'finished' : outcome.verdict).toBe('finished')
  }
  return found
}

describe.each(archs)('beside a munmap on %s', (arch) => {
  test.each(Object.entries(SmapsWalk))('with %s', async (name, how) => {
    const unsafe: string[] = []
    for (const freeing of ALL.filter((policy) => isDistinct(policy, arch)))
      if (await readsFreedTable(arch, freeing, how)) unsafe.push(freeing)
    expect(unsafe).toEqual(UNSAFE[name as keyof typeof SmapsWalk](arch))
  })
})
