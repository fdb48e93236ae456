// Small machines, warm lists, whole user accesses, and what the options say to wrong names.
import { describe, expect, test } from 'vitest'
import { PAGE_WORDS, PTE_FRAGMENTS, PTE_TABLE_WORDS, PTRS_PER_PTE, TLB_MASK, UPPER_TABLE_ORDER } from '../../src/kernel/arch/arch.ts'
import * as kernel from '../../src/kernel/kernel.ts'
import { Mode } from '../../src/kernel/machine/entry.ts'
import { Global, SlabCache } from '../../src/kernel/machine/globals.ts'
import { load, perCpu, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu, MAX_SLAB_CACHES } from '../../src/kernel/machine/percpu.ts'
import { Cache } from '../../src/kernel/memory/slab.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine, prefill } from '../../src/machine/machine.ts'
import { archByName, MachineOptionError, soundArchitectures } from '../../src/machine/shape.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const CPUS = 3
const SHARED_LISTS = Object.values(Cache).map((cache) => Global.slabs + cache * SlabCache.size)

test('there is room for every slab cache', () => {
  expect(Math.max(...Object.values(Cache))).toBeLessThan(MAX_SLAB_CACHES)
})

describe.each(soundArchitectures.map(({ name }) => name))('a small %s machine', (arch) => {
  const boot = () => bootMachine({ arch, geometry: 'small', cpus: CPUS, poison: true })

  test('has tables of four entries, the fragments of the real one and few words', () => {
    const { buffer } = boot()
    expect(TLB_MASK).toBe(15)
    expect([PTRS_PER_PTE, load(Global.nrFrames), load(Global.taskSize)]).toEqual([4, 256, 255])
    expect(PTE_FRAGMENTS).toBe(archByName(arch).pteFragments)
    // As small as its fragments let it be: a table has 8 words at the least.
    expect(PAGE_WORDS).toBe(Math.max(64, PTE_FRAGMENTS * PTE_TABLE_WORDS))
    expect(buffer.byteLength / 4).toBeLessThan(256 * PAGE_WORDS + 24_000)
  })

  test('what CPUs do after a prefill touches no list that they share', () => {
    const machine = boot()
    for (let cpu = 0; cpu < CPUS; cpu++) prefill(machine, cpu)
    // Tables of several pages are no CPU's to keep.
    const shared = (): number[] => [
      UPPER_TABLE_ORDER === 0 ? load(Global.freePages) : 0,
      ...SHARED_LISTS.flatMap((c) => [load(c + SlabCache.free), load(c + SlabCache.pages)]),
    ]
    const before = shared()
    const mm = kernel.sysNewMm()
    for (let cpu = 0; cpu < CPUS; cpu++) {
      attachCpu(machine, cpu)
      kernel.sysSwitchMm(mm)
      const page = kernel.sysMmap(mm, 0, 4, RW, 0, 0, 0)
      for (let i = 0; i < 2; i++) expect(kernel.userStore(page + i, 0, 1)).toBe(0)
      expect(kernel.sysMunmap(mm, page, 3)).toBe(0)
    }
    expect(shared()).toEqual(before)
    for (let cpu = 0; cpu < CPUS; cpu++) expect(load(perCpu(cpu) + Cpu.pcpCount)).toBeGreaterThan(0)
  })

  test('a user access reads what was written, and says what it raised', () => {
    attachCpu(boot(), 1)
    const mm = kernel.sysNewMm()
    kernel.sysSwitchMm(mm)
    const page = kernel.sysMmap(mm, 100, 2, RW, 0, 0, 0)
    expect(kernel.userStore(page + 1, 3, -5)).toBe(0)
    expect([kernel.userLoad(page + 1, 3), load(thisCpu() + Cpu.out0)]).toEqual([0, -5])
    expect([kernel.userLoad(page, 3), load(thisCpu() + Cpu.out0), load(thisCpu() + Cpu.context) & 3]).toEqual([0, 0, Mode.outside])
    kernel.sysMprotect(mm, page, 1, Vm.read)
    expect([kernel.userStore(page, 0, 1), kernel.userLoad(page + 2, 0)]).toEqual([-2, -1])
    expect(load(thisCpu() + Cpu.context) & 3).toBe(Mode.outside)
  })
})

test('a real machine has the whole TLB', () => {
  attachCpu(bootMachine({ cpus: 1, memory: 2 ** 20 }), 0)
  expect([TLB_MASK, PTRS_PER_PTE, PAGE_WORDS]).toEqual([255, 512, 1024])
})

test('lists are filled within their bounds', () => {
  const machine = bootMachine({ geometry: 'small', cpus: 1 })
  expect(() => prefill(machine, 0, { pages: 65 })).toThrow('pages must be from 0 to 64, not 65')
  expect(() => prefill(machine, 0, { pages: 64, objects: 32 })).not.toThrow()
  const tight = bootMachine({ geometry: 'small', cpus: 4, memory: 64 * 256 })
  prefill(tight, 0)
  expect(() => prefill(tight, 1, { pages: 64 })).toThrow('too little memory')
})

test('wrong names are answered with the names that there are', () => {
  expect(() => bootMachine({ freeing: 'never' })).toThrow(MachineOptionError)
  expect(() => bootMachine({ freeing: 'never' })).toThrow(/rcu-batch, immediate, ipi, ipi-all, pte-free-defer, .*one-head, .*increments/)
  expect(() => bootMachine({ geometry: 'tiny' as 'small' })).toThrow('use one of real, small')
  expect(() => bootMachine({ geometry: 'toString' as 'small' })).toThrow(MachineOptionError)
})
