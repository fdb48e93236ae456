// The design "speculative": which faults it does by itself, which it gives up, and that each is counted by its reason. That what it does
// is right under every interleaving is for the scenarios.
import { describe, expect, test } from 'vitest'
import { openTree, randomScheduler, run, runAlone, type Steps } from '../../src/check/index.ts'
import { designs } from '../../src/kernel/design/designs.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { type WholeMachine, wholeMachine } from '../check/whole-machine.ts'

const MAY = Vm.mayRead | Vm.mayWrite
const READ_WRITE = Vm.read | Vm.write | MAY
const PAGE = 64

const tree = await openTree()

/** Counters of all CPUs, those that are not 0. */
function counted({ machine, cpus }: WholeMachine, design: string): Record<string, number> {
  const names = designs.find(({ name }) => name === design)?.counters ?? []
  const out: Record<string, number> = {}
  for (const [i, name] of names.entries()) {
    for (let cpu = 0; cpu < cpus; cpu++) {
      const value = machine.words[machine.areas + cpu * tree.percpu.CPU_STRIDE + Cpu.statDesign + i] as number
      if (value !== 0) out[name] = (out[name] ?? 0) + value
    }
  }
  return out
}

interface Space {
  readonly whole: WholeMachine
  readonly mm: number
  /** An access by CPU 0, alone: 1, or a signal's bits negated. What it adds to the counters. */
  touch(page: number, access?: number): [number, Record<string, number>]
  alone(task: () => unknown): number
  access(page: number, access: number): Steps<number>
}

/** Four pages at PAGE in an address space that `cpus` CPUs run. */
async function space(design: string, cpus: number, disk = -1): Promise<Space> {
  const whole = await wholeMachine(tree, 'x86_64', design, 2)
  const { machine, kernel } = whole
  const alone = (task: () => unknown): number => runAlone(machine, task as () => Steps<number>) as number
  const mm = alone(() => kernel.sysNewMm())
  for (let cpu = 0; cpu < cpus; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const inode = disk < 0 ? 0 : alone(() => kernel.inodeCreate(4, disk, 0, 1))
  const file = disk < 0 ? 0 : alone(() => kernel.fileOpen(inode))
  alone(() => kernel.sysMmap(mm, PAGE, 4, READ_WRITE, Placement.fixed, file, 0))
  function* access(page: number, how: number): Steps<number> {
    const frame = yield* kernel.beginAccess(page, how)
    if (frame < 0) return frame
    yield* kernel.endAccess()
    return 1
  }
  return {
    whole,
    mm,
    alone,
    access,
    touch: (page, how = Access.write) => {
      const before = counted(whole, design)
      const result = alone(() => access(page, how))
      const now = counted(whole, design)
      const added = Object.entries(now).map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      return [result, Object.fromEntries(added.filter(([, value]) => value !== 0))]
    },
  }
}

describe.each(['speculative', 'speculative-irq', 'speculative-file'])('%s', (design) => {
  test('the first write to a VMA and the first fault below a PMD are given up, the next is not', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1 }])
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
    expect(s.touch(PAGE)).toEqual([1, { attempts: 1, 'no anon_vma': 1 }])
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
    expect(s.touch(PAGE + 2)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('an address space that one CPU runs is left alone', async () => {
    const s = await space(design, 1)
    expect(s.touch(PAGE)).toEqual([1, { 'single-threaded': 1 }])
    runAlone(s.whole.machine, () => s.whole.kernel.sysSwitchMm(s.mm), 1)
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('signals are raised under mmap_lock', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE + 4)).toEqual([-1, { attempts: 1, unmapped: 1 }])
    s.alone(() => s.whole.kernel.sysMprotect(s.mm, PAGE, 4, Vm.read))
    expect(s.touch(PAGE)).toEqual([-2, { attempts: 1, 'no access': 1 }])
  })

  test('missing pages of a registered range are reported under mmap_lock', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    s.alone(() => s.whole.kernel.sysUserfaultRegister(s.mm, PAGE, 4, 1))
    expect(s.touch(PAGE + 1)).toEqual([-64, { attempts: 1, userfault: 1 }])
  })

  test('a count that is odd means a writer at work', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    const { words } = s.whole.machine
    words[s.mm + Mm.mmLockSeq] = (words[s.mm + Mm.mmLockSeq] as number) + 1
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, 'writer at work': 1 }])
  })

  test('a call in the way is noticed wherever it comes', async () => {
    const s = await space(design, 2)
    const { machine, kernel } = s.whole
    s.touch(PAGE)
    const before = machine.words.slice()
    const seen: Record<string, number> = {}
    for (let seed = 0; seed < 600; seed++) {
      machine.words.set(before)
      const other = seed % 2 === 0 ? () => kernel.sysMprotect(s.mm, PAGE, 4, Vm.read) : () => s.access(PAGE + 2, Access.write)
      const outcome = run(machine, [() => s.access(PAGE + 1, Access.write), other], randomScheduler(seed, seed % 3 === 0 ? 0.9 : 0), {
        maxSteps: 20_000,
      })
      expect(outcome.message).toBe('')
      for (const [name, value] of Object.entries(counted(s.whole, design))) seen[name] = (seen[name] ?? 0) + value
    }
    const reasons = ['done', 'writer at work', 'VMA changed', 'no access', 'writer before lock', 'lock held', 'writer under lock']
    expect(reasons.filter((name) => (seen[name] ?? 0) === 0)).toEqual([])
    const ends = Object.entries(seen).filter(([name]) => name !== 'attempts' && name !== 'single-threaded')
    expect(ends.reduce((total, [, value]) => total + value, 0)).toBe(seen.attempts)
  })
})

test('file mappings are an option', async () => {
  const off = await space('speculative', 2, 0)
  off.touch(PAGE, Access.read)
  expect(off.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, file: 1 }])
  const on = await space('speculative-file', 2, 0)
  expect(on.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1 }])
  expect(on.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
})

test('a page that must be read from disk is read, and mapped under mmap_lock', async () => {
  const s = await space('speculative-file', 2, 1)
  s.touch(PAGE, Access.read)
  expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, 'I/O': 1 }])
})
