// mremap moves whole page tables where they are all to move and land on an empty slot, and entries elsewhere: what was there is found at
// the new place and only there.
import { expect, test } from 'vitest'
import { PTRS_PER_PTE } from '../../src/kernel/arch/arch.ts'
import * as native from '../../src/kernel/kernel.ts'
import { load, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { getMmCounter, Rss } from '../../src/kernel/memory/mm.ts'
import { upperGet, upperTable } from '../../src/kernel/pagetable/entries.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Remap } from '../../src/kernel/syscall/mremap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import type { MachineOptions } from '../../src/machine/shape.ts'
import { combinations } from '../combinations.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.account

/** The table below which page `vpn` lies, or 0. */
function tableOf(mm: number, vpn: number): number {
  const pmd = findPmd(mm, vpn)
  return pmd === 0 ? 0 : upperTable(upperGet(pmd))
}

/** What a read of `page` finds, or the fault's bits negated. */
function read(page: number): number {
  const result = native.userLoad(page, 0)
  return result === 0 ? load(thisCpu() + Cpu.out0) : result
}

/** Two tables and a page mapped and written from `first` on, so that page i holds i + 1; moves them to `to`. Returns the mm. */
function moveThem(options: MachineOptions, to: (first: number) => number): { mm: number; first: number; tables: number[]; pages: number } {
  attachCpu(bootMachine({ ...options, cpus: 1, geometry: 'small', poison: true }), 0)
  const mm = native.sysNewMm()
  native.sysSwitchMm(mm)
  const first = 16 * PTRS_PER_PTE
  const pages = 2 * PTRS_PER_PTE + 1
  native.sysMmap(mm, first, pages, RW, Placement.fixed, 0, 0)
  for (let i = 0; i < pages; i++) expect(native.userStore(first + i, 0, i + 1)).toBe(0)
  const tables = [0, 1, 2].map((n) => tableOf(mm, first + n * PTRS_PER_PTE))
  expect(native.sysMremap(mm, first, pages, pages, Remap.mayMove | Remap.fixed, to(first))).toBe(to(first))
  return { mm, first, tables, pages }
}

function expectMoved(mm: number, first: number, pages: number, target: number): void {
  for (let i = 0; i < pages; i++) {
    expect(read(target + i)).toBe(i + 1)
    expect(read(first + i)).toBeLessThan(0)
    expect(native.userStore(target + i, 0, i + 7)).toBe(0)
    expect(read(target + i)).toBe(i + 7)
  }
  expect(getMmCounter(mm, Rss.anon)).toBe(pages)
  expect(native.sysMunmap(mm, target, pages)).toBe(0)
  expect(getMmCounter(mm, Rss.anon)).toBe(0)
  native.sysSwitchMm(0)
  native.sysExit(mm)
}

test.each(combinations)('whole tables move where both places are aligned (%s on %s)', (design, arch) => {
  const target = (first: number): number => first + 8 * PTRS_PER_PTE
  const { mm, first, tables, pages } = moveThem({ design, arch }, target)
  const at = target(first)
  expect([0, 1].map((n) => tableOf(mm, at + n * PTRS_PER_PTE))).toEqual(tables.slice(0, 2))
  // The last page moved by itself.
  expect(tableOf(mm, at + 2 * PTRS_PER_PTE)).not.toBe(tables[2])
  expect([0, 1].map((n) => tableOf(mm, first + n * PTRS_PER_PTE))).toEqual([0, 0])
  expectMoved(mm, first, pages, at)
})

test.each(['x86_64', 'x86-pae'])('entries move where the places are not aligned alike (%s)', (arch) => {
  const target = (first: number): number => first + 8 * PTRS_PER_PTE + 1
  const { mm, first, tables, pages } = moveThem({ design: 'vma-lock', arch }, target)
  for (const n of [0, 1, 2]) expect(tables).not.toContain(tableOf(mm, target(first) + n * PTRS_PER_PTE))
  expectMoved(mm, first, pages, target(first))
})

test('entries move where a table is at the new place already', () => {
  // Tables by the page: the first mapping has made those around it.
  const options = { design: 'vma-lock', arch: 'powerpc64-hash-64k', tables: 'sixteen' }
  const target = (first: number): number => first + 4 * PTRS_PER_PTE
  const { mm, first, tables, pages } = moveThem(options, target)
  expect(tables).not.toContain(tableOf(mm, target(first)))
  expectMoved(mm, first, pages, target(first))
})
