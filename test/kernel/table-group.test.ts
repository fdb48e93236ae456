// Page tables by the page: the first fault fills a group of neighbouring PMD entries from one page; what has no VMA goes with the last
// VMA of its group, and the page with its last table.
import { describe, expect, test } from 'vitest'
import { PTE_FRAGMENTS, PTE_TABLE_WORDS, PTRS_PER_PTE } from '../../src/kernel/arch/arch.ts'
import * as kernel from '../../src/kernel/kernel.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, perCpu, readOnce, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Page, virtToPage } from '../../src/kernel/memory/page.ts'
import { allocPage } from '../../src/kernel/memory/page-alloc.ts'
import { upperNone, upperTable } from '../../src/kernel/pagetable/entries.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { groupEnd, groupStart, tableGroup } from '../../src/kernel/pagetable/table-group.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Remap } from '../../src/kernel/syscall/mremap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import type { MachineOptions } from '../../src/machine/shape.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const POWERPC = 'powerpc64-hash-64k'

function begin(options: MachineOptions = {}): { readonly mm: number; slots(group: number): number[] } {
  attachCpu(bootMachine({ arch: POWERPC, tables: 'sixteen', cpus: 1, memory: 512 * 65536, ...options }), 0)
  const mm = kernel.sysNewMm()
  kernel.sysSwitchMm(mm)
  const slot = (n: number): number => findPmd(mm, n * PTRS_PER_PTE)
  // The tables below the entries of a group, 0 where there is none.
  const slots = (group: number): number[] =>
    Array.from({ length: 16 }, (_, i) => slot(16 * group + i)).map((at) =>
      at === 0 || upperNone(readOnce(at)) ? 0 : upperTable(readOnce(at)),
    )
  return { mm, slots }
}

/** Maps `pages` pages at the first page of the span of table `n`, and touches the first. */
function touch(mm: number, n: number, pages = 1): void {
  expect(kernel.sysMmap(mm, n * PTRS_PER_PTE, pages, RW, Placement.fixed, 0, 0)).toBe(n * PTRS_PER_PTE)
  expect(kernel.userStore(n * PTRS_PER_PTE, 0, n)).toBe(0)
}

const tableCount = (mm: number): number => load(mm + Mm.tableWords) / PTE_TABLE_WORDS
const allocations = (): number => load(thisCpu() + Cpu.statTableAllocs)

function freeFrames(): number {
  kernel.enterKernel()
  kernel.rcuBarrier()
  kernel.exitKernel()
  return load(Global.freePages) + load(perCpu(0) + Cpu.pcpCount)
}

describe('a first fault', () => {
  test('fills sixteen neighbouring entries from one page, in their order', () => {
    const { mm, slots } = begin()
    touch(mm, 37)
    const tables = slots(2)
    const page = virtToPage(tables[0]!)
    expect(tables).toEqual(tables.map((_, i) => tables[0]! + i * PTE_TABLE_WORDS))
    expect(new Set(tables.map(virtToPage)).size).toBe(1)
    expect(load(page + Page.ptFragRefcount)).toBe(16)
    const before = allocations()
    touch(mm, 38)
    touch(mm, 47)
    expect(allocations()).toBe(before)
    expect(slots(2)).toEqual(tables)
    touch(mm, 48)
    expect(allocations()).toBe(before + 1)
    kernel.sysSwitchMm(0)
    kernel.sysExit(mm)
  })

  test('fills what is empty only, and the rest of its page counts for nothing', () => {
    const { mm, slots } = begin()
    touch(mm, 33)
    touch(mm, 36)
    kernel.sysMunmap(mm, 36 * PTRS_PER_PTE, 1)
    // Between the end of the VMA below and the end of everything.
    expect(slots(2).map((table) => table !== 0)).toEqual(Array.from({ length: 16 }, (_, i) => i < 2))
    const kept = slots(2).slice(0, 2)
    touch(mm, 36)
    expect(slots(2).slice(0, 2)).toEqual(kept)
    const fresh = virtToPage(slots(2)[2]!)
    expect(slots(2).slice(2).map(virtToPage)).toEqual(Array(14).fill(fresh))
    expect(load(fresh + Page.ptFragRefcount)).toBe(14)
    kernel.sysSwitchMm(0)
    kernel.sysExit(mm)
  })

  test('is as any other where tables are pages, and where one is allocated at a time', () => {
    for (const options of [{ arch: 'x86_64' }, { tables: 'one' }] as const) {
      const { mm } = begin(options)
      expect([tableGroup(), groupStart(5 * PTRS_PER_PTE + 1), groupEnd(5 * PTRS_PER_PTE + 1)]).toEqual([
        1,
        5 * PTRS_PER_PTE,
        6 * PTRS_PER_PTE,
      ])
      touch(mm, 37)
      const before = allocations()
      touch(mm, 38)
      expect(allocations()).toBe(before + 1)
      kernel.sysSwitchMm(0)
      kernel.sysExit(mm)
    }
  })

  test('fills what a PMD table has, where that is less than a page of tables', () => {
    const { mm } = begin({ geometry: 'small', memory: 256 * 1024 })
    touch(mm, 5)
    expect([tableGroup(), PTE_FRAGMENTS]).toEqual([4, 16])
    const page = virtToPage(upperTable(readOnce(findPmd(mm, 5 * PTRS_PER_PTE))))
    expect(load(page + Page.ptFragRefcount)).toBe(4)
    kernel.sysMunmap(mm, 5 * PTRS_PER_PTE, 1)
    expect(findPmd(mm, 5 * PTRS_PER_PTE)).toBe(0)
    kernel.sysSwitchMm(0)
    kernel.sysExit(mm)
  })

  test('without memory for a page fails, and leaves nothing', () => {
    const { mm, slots } = begin()
    touch(mm, 33)
    kernel.sysMmap(mm, 48 * PTRS_PER_PTE, 1, RW, Placement.fixed, 0, 0)
    kernel.enterKernel()
    while (allocPage(0) !== 0);
    kernel.exitKernel()
    expect(kernel.userStore(48 * PTRS_PER_PTE, 0, 1)).not.toBe(0)
    expect(slots(3)).toEqual(Array(16).fill(0))
  })
})

describe('tables without a VMA', () => {
  test('go with the last VMA of their group, and all memory with them', () => {
    const { mm, slots } = begin()
    touch(mm, 100)
    kernel.sysMunmap(mm, 100 * PTRS_PER_PTE, 1)
    const frames = freeFrames()
    const counted = tableCount(mm)
    touch(mm, 33)
    touch(mm, 40)
    kernel.sysMunmap(mm, 40 * PTRS_PER_PTE, 1)
    expect(slots(2).filter((table) => table !== 0)).toHaveLength(2)
    kernel.sysMunmap(mm, 33 * PTRS_PER_PTE, 1)
    expect(findPmd(mm, 33 * PTRS_PER_PTE)).toBe(0)
    expect(tableCount(mm)).toBe(counted)
    expect(freeFrames()).toBe(frames)
    kernel.sysSwitchMm(0)
    kernel.sysExit(mm)
  })

  test('are freed where a range ends in the middle of two groups', () => {
    const { mm, slots } = begin()
    touch(mm, 30, 4 * PTRS_PER_PTE)
    expect(kernel.userStore(33 * PTRS_PER_PTE, 0, 1)).toBe(0)
    expect([slots(1), slots(2)].flat().filter((table) => table !== 0)).toHaveLength(32)
    kernel.sysMunmap(mm, 30 * PTRS_PER_PTE, 4 * PTRS_PER_PTE)
    expect([slots(1), slots(2)].flat()).toEqual(Array(32).fill(0))
    kernel.sysSwitchMm(0)
    kernel.sysExit(mm)
  })

  test.each(['rcu-batch', 'immediate', 'ipi', 'pte-free-defer', 'pte-free-defer-increments'])('are all given back by %s', (freeing) => {
    const { mm } = begin({ freeing })
    touch(mm, 33, 20 * PTRS_PER_PTE)
    const child = kernel.sysFork(mm)
    kernel.sysMremap(mm, 33 * PTRS_PER_PTE, 1, 1, Remap.mayMove | Remap.fixed, 200 * PTRS_PER_PTE)
    expect(kernel.userLoad(200 * PTRS_PER_PTE, 0)).toBe(0)
    // The table is empty and its whole span is given back; its neighbours stay.
    kernel.sysMadvise(mm, 34 * PTRS_PER_PTE, PTRS_PER_PTE, Advice.dontneed)
    expect(kernel.userStore(34 * PTRS_PER_PTE, 0, 3)).toBe(0)
    kernel.sysSwitchMm(0)
    for (const one of [child, mm]) kernel.sysExit(one)
    const before = freeFrames()
    const again = kernel.sysNewMm()
    kernel.sysSwitchMm(again)
    touch(again, 33)
    kernel.sysSwitchMm(0)
    kernel.sysExit(again)
    expect(freeFrames()).toBe(before)
  })
})
