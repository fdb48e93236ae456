// The designs under SRCU: which faults they do inside their section and which they leave to mmap_lock, each counted by its reason; when
// what munmap took away is freed, and by whom. That what they do is right under every interleaving is for the scenarios.
import { describe, expect, test } from 'vitest'
import { randomScheduler, run, type Steps } from '../../src/check/index.ts'
import { designs } from '../../src/kernel/design/designs.ts'
import { GLOBALS, Global } from '../../src/kernel/machine/globals.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { RCU_BATCH } from '../../src/kernel/sync/rcu.ts'
import { Srcu } from '../../src/kernel/sync/srcu.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { vmaLookup } from '../../src/kernel/vma/find-vma.ts'
import { Vm, Vma } from '../../src/kernel/vma/vma.ts'
import { USUAL_DESIGNS } from '../../src/scenario/runner/axes.ts'
import { tearDown } from '../check/whole-machine.ts'
import { combinations, sequentialCombinations } from '../combinations.ts'
import { counted, PAGE, READ_WRITE, type Space, space } from './design-counters.ts'

/** What a CPU does to have everything deferred freed. */
function* barrier({ whole: { kernel } }: Space): Steps<void> {
  yield* kernel.enterKernel()
  yield* kernel.rcuBarrier()
  yield* kernel.exitKernel()
}

describe.each(['srcu', 'srcu-sync'])('%s', (design) => {
  test('a fault makes its tables itself; only the first write to a VMA is left to mmap_lock', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, done: 1, 'tables made': 1 }])
    expect(s.touch(PAGE)).toEqual([1, { attempts: 1, 'no anon_vma': 1 }])
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
    expect(s.touch(PAGE + 2, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('a fault waits for the disk inside its section', async () => {
    const s = await space(design, 2, 1)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, done: 1, 'tables made': 1 }])
    expect(s.whole.machine.words[s.whole.machine.areas + Cpu.statMajorFaults]).toBe(1)
    expect(s.whole.machine.words[s.whole.machine.areas + Cpu.statFaultRetries]).toBe(0)
  })

  test('signals and missing pages are reported under mmap_lock', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE + 4)).toEqual([-1, { attempts: 1, unmapped: 1 }])
    s.touch(PAGE)
    s.alone(() => s.whole.kernel.sysMprotect(s.mm, PAGE, 4, Vm.read))
    expect(s.touch(PAGE)).toEqual([-2, { attempts: 1, 'no access': 1 }])
    s.alone(() => s.whole.kernel.sysMprotect(s.mm, PAGE, 4, Vm.read | Vm.write))
    s.alone(() => s.whole.kernel.sysUserfaultRegister(s.mm, PAGE, 4, 1))
    expect(s.touch(PAGE + 1)).toEqual([-64, { attempts: 1, userfault: 1 }])
  })

  test('a VMA with the number of the writer that is there is left alone', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    const { words } = s.whole.machine
    words[vmaLookup(s.mm, PAGE) + Vma.lockSeq] = words[s.mm + Mm.mmLockSeq] as number
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, 'writer at work': 1 }])
  })

  test('a call in the way is noticed wherever it comes', async () => {
    const s = await space(design, 2)
    const { machine, kernel } = s.whole
    const before = machine.words.slice()
    const seen: Record<string, number> = {}
    const others = [
      () => kernel.sysMprotect(s.mm, PAGE, 4, Vm.read | Vm.write | Vm.exec),
      () => kernel.sysMunmap(s.mm, PAGE, 4),
      () => kernel.sysMadvise(s.mm, 0, 512, 4),
    ]
    for (let seed = 0; seed < 900; seed++) {
      machine.words.set(before)
      const other = others[seed % 3] as () => Steps<number>
      const stay = [0, 0.9, 0.99][Math.floor(seed / 3) % 3] as number
      const outcome = run(machine, [() => s.access(PAGE + 1, Access.read), other], randomScheduler(seed, stay), { maxSteps: 20_000 })
      expect(outcome.message).toBe('')
      for (const [name, value] of Object.entries(counted(s.whole, design))) seen[name] = (seen[name] ?? 0) + value
    }
    const reasons = ['done', 'tables made', 'unmapped', 'writer at work', 'VMA changed at table', 'VMA changed at entry']
    expect(reasons.filter((name) => (seen[name] ?? 0) === 0)).toEqual([])
    const ends = Object.entries(seen).filter(([name]) => name !== 'attempts' && name !== 'tables made')
    expect(ends.reduce((total, [, value]) => total + value, 0)).toBe(seen.attempts)
  })
})

describe('what munmap took away', () => {
  const left = (): number[] => [Cache.vma, Cache.file, Cache.inode].map(slabObjectsInUse)

  test('is freed, VMA, file and inode, when the callbacks have run, whoever waits for them', async () => {
    const s = await space('srcu', 2, 1)
    s.touch(PAGE, Access.read)
    s.alone(() => s.whole.kernel.sysMunmap(s.mm, PAGE, 4), 1)
    expect(left()).toEqual([1, 1, 1])
    s.alone(() => barrier(s), 0)
    expect(left()).toEqual([0, 0, 0])
    expect(tearDown(s.whole, [s.mm])).toBe('')
  })

  test('is freed when munmap returns from synchronize_srcu', async () => {
    const s = await space('srcu-sync', 2, 1)
    s.touch(PAGE, Access.read)
    s.alone(() => s.whole.kernel.sysMunmap(s.mm, PAGE, 4), 1)
    expect(left()).toEqual([0, 0, 0])
    expect(tearDown(s.whole, [s.mm])).toBe('')
  })

  test('is freed on the way out of the kernel once there is enough of it', async () => {
    const s = await space('srcu', 2)
    for (let i = 0; i < 10 * RCU_BATCH; i++) {
      s.alone(() => s.whole.kernel.sysMmap(s.mm, PAGE + 8, 1, READ_WRITE, Placement.fixed, 0, 0))
      s.alone(() => s.whole.kernel.sysMunmap(s.mm, PAGE + 8, 1))
    }
    expect(slabObjectsInUse(Cache.vma)).toBeLessThan(3 * RCU_BATCH)
    expect(tearDown(s.whole, [s.mm])).toBe('')
  })

  test('is waited for as a whole: all VMAs of one munmap take one grace period', async () => {
    const periods = async (mappings: number): Promise<number> => {
      const s = await space('srcu-sync', 2)
      for (let i = 0; i < mappings; i++) s.alone(() => s.whole.kernel.sysMmap(s.mm, PAGE + 8 + 2 * i, 1, READ_WRITE, Placement.fixed, 0, 0))
      const { words } = s.whole.machine
      const before = words[Global.srcuDomain + Srcu.done] as number
      s.alone(() => s.whole.kernel.sysMunmap(s.mm, PAGE + 8, 2 * mappings))
      return (words[Global.srcuDomain + Srcu.done] as number) - before
    }
    expect(await periods(8)).toBe(await periods(1))
    expect(await periods(1)).toBe(2)
  })
})

test('the machine has room for the whole domain', () => {
  const behind = Object.values(Global).filter((address) => address > Global.srcuDomain)
  expect(Math.min(...behind, GLOBALS + Global.size) - Global.srcuDomain).toBeGreaterThanOrEqual(Srcu.size)
})

test('the sketch can be asked for, and is used nowhere else', () => {
  const drafts = designs.filter(({ draft }) => draft === true).map(({ name }) => name)
  expect(drafts).toContain('srcu-prototype')
  expect(USUAL_DESIGNS.filter((name) => drafts.includes(name))).toEqual([])
  expect(combinations.filter(([design]) => drafts.includes(design))).toEqual([])
  expect(sequentialCombinations.some(([design]) => design === 'srcu-prototype')).toBe(true)
})
