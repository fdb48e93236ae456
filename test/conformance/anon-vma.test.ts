// anon_vmas over generations of fork: whose they are, in which order a VMA leaves them, and what may take one over.
import { describe, expect, test } from 'vitest'
import { openTree, randomScheduler, run, runAlone, type Steps } from '../../src/check/index.ts'
import * as native from '../../src/kernel/kernel.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, perCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { POISON } from '../../src/kernel/memory/page-alloc.ts'
import { Cache } from '../../src/kernel/memory/slab.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { AnonVma, AnonVmaChain } from '../../src/kernel/vma/anon-vma.ts'
import { findVma, vmaLookup } from '../../src/kernel/vma/find-vma.ts'
import { Vm, Vma } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import { tearDown, wholeMachine } from '../check/whole-machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.account
const PAGE = 1000

/** The anon_vmas of the VMA at PAGE, as its chain has them. */
function chain(mm: number): number[] {
  const anonVmas: number[] = []
  for (let avc = load(vmaLookup(mm, PAGE) + Vma.anonVmaChain); avc !== 0; avc = load(avc + AnonVmaChain.next)) {
    anonVmas.push(load(avc + AnonVmaChain.anonVma))
  }
  return anonVmas
}

function own(mm: number): number {
  return load(vmaLookup(mm, PAGE) + Vma.anonVma)
}

/** Words of free anon_vmas that somebody has written to. */
function written(): number {
  let words = 0
  for (let object = load(perCpu(0) + Cpu.slabHead + Cache.anonVma); object !== 0; object = load(object - 2)) {
    for (let i = 0; i < AnonVma.size; i++) {
      const word = load(object + i)
      if (word !== POISON && word !== 0) words++
    }
  }
  return words
}

/** Five generations, each the child of the one before. */
function family(): number[] {
  attachCpu(bootMachine({ cpus: 1, memory: 8 * 2 ** 20, poison: true }), 0)
  const first = native.sysNewMm()
  native.sysMmap(first, PAGE, 1, RW, Placement.fixed, 0, 0)
  native.sysSwitchMm(first)
  native.beginAccess(PAGE, Access.write)
  native.endAccess()
  native.sysSwitchMm(0)
  const generations = [first]
  while (generations.length < 5) generations.push(native.sysFork(generations.at(-1) as number))
  return generations
}

describe('generations of fork', () => {
  test('have chains from the newest to the root', () => {
    const generations = family()
    const expected = generations.map(own)
    for (const [i, mm] of generations.entries()) expect(chain(mm)).toEqual(expected.slice(0, i + 1).toReversed())
  })

  test.each([[[0, 1, 2, 3, 4]], [[4, 3, 2, 1, 0]], [[2, 0, 4, 1, 3]], [[1, 3, 0, 2, 4]]])(
    'exit in the order %j without touching what is freed',
    (order) => {
      const generations = family()
      for (const i of order) {
        native.sysExit(generations[i] as number)
        expect(written()).toBe(0)
      }
    },
  )

  test('take over the oldest anon_vma that nobody uses and that has no second child', () => {
    const [first, second, third, fourth, fifth] = family() as [number, number, number, number, number]
    const [ofSecond, ofThird] = [own(second), own(third)]
    for (const mm of [second, third]) native.sysExit(mm)
    const child = native.sysFork(fifth)
    expect(own(child)).toBe(ofSecond)
    expect(load(ofSecond + AnonVma.numActiveVmas)).toBe(1)
    expect(load(ofThird + AnonVma.numActiveVmas)).toBe(0)
    for (const mm of [first, fourth, fifth, child]) native.sysExit(mm)
    expect(written()).toBe(0)
  })
})

test('two forks at once do not take over the same one', async () => {
  const tree = await openTree()
  const whole = await wholeMachine(tree, 'x86_64', 'vma-lock', 2)
  const { machine, kernel } = whole
  const alone = <T>(task: () => Steps<T>): T => runAlone(machine, task) as T
  const first = alone(() => kernel.sysNewMm())
  alone(() => kernel.sysMmap(first, PAGE, 1, RW, Placement.fixed, 0, 0))
  alone(() => kernel.sysSwitchMm(first))
  alone(() => kernel.beginAccess(PAGE, Access.write))
  alone(() => kernel.endAccess())
  alone(() => kernel.sysSwitchMm(0))
  const second = alone(() => kernel.sysFork(first))
  const third = alone(() => kernel.sysFork(second))
  const fourth = alone(() => kernel.sysFork(third))
  alone(() => kernel.sysExit(second))
  const before = machine.words.slice()
  for (let seed = 0; seed < 200; seed++) {
    machine.words.set(before)
    const outcome = run(
      machine,
      [() => kernel.sysFork(third), () => kernel.sysFork(fourth)],
      randomScheduler(seed, seed % 2 === 0 ? 0 : 0.9),
    )
    expect(outcome.message).toBe('')
    const spaces = [first, third, fourth, ...(outcome.results as number[])]
    expect(new Set(spaces.map(own)).size, `seed ${seed}`).toBe(spaces.length)
    expect(tearDown(whole, spaces)).toBe('')
  }
})

test('mappings that touch only in the page numbers of a machine, not in reality, stay two', () => {
  attachCpu(bootMachine({ cpus: 1, windows: [0, 5, 6], memory: 8 * 2 ** 20 }), 0)
  const mm = native.sysNewMm()
  const edge = 2 ** 27
  for (const at of [edge - 4, edge, 2 * edge - 4, 2 * edge]) expect(native.sysMmap(mm, at, 4, RW, Placement.fixed, 0, 0)).toBe(at)
  const ends: number[] = []
  for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, ends.at(-1) as number)) ends.push(load(vma + Vma.end))
  // Windows 5 and 6 are neighbours.
  expect(ends).toEqual([edge, edge + 4, 2 * edge + 4])
  expect(native.sysMprotect(mm, edge - 4, 8, Vm.read)).toBe(0)
  expect(load(vmaLookup(mm, edge - 1) + Vma.end)).toBe(edge)
  native.sysExit(mm)
  expect(load(Global.windowCount)).toBe(3)
})
