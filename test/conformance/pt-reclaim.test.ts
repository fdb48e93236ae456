// Empty page tables are given back by MADV_DONTNEED over their whole span: where tables are freed through RCU, only whole tables, and
// only empty ones; what was there reads as zero afterwards.
import { expect, test } from 'vitest'
import { EntryRead, PTE_TABLE_WORDS, PTRS_PER_PTE } from '../../src/kernel/arch/arch.ts'
import { architectures } from '../../src/kernel/arch/architectures.ts'
import { designs } from '../../src/kernel/design/designs.ts'
import * as native from '../../src/kernel/kernel.ts'
import { load, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.account
const combinations = architectures
  .filter(({ entryRead }) => entryRead === EntryRead.whole)
  .flatMap((arch) => designs.map((design) => [arch.name, design.name] as const))

/** What is in the first word of `page`. */
function read(page: number): number {
  expect(native.userLoad(page, 0)).toBe(0)
  return load(thisCpu() + Cpu.out0)
}

/** Maps two tables' spans, writes the first and the last page of the first and one of the second. Returns what is needed. */
function begin(arch: string, design: string, freeing: string): { readonly mm: number; readonly first: number; tables(): number } {
  const machine = bootMachine({ arch, design, freeing, cpus: 1, geometry: 'small' })
  attachCpu(machine, 0)
  const mm = native.sysNewMm()
  native.sysSwitchMm(mm)
  const first = 4 * PTRS_PER_PTE
  native.sysMmap(mm, first, 2 * PTRS_PER_PTE, RW, Placement.fixed, 0, 0)
  for (const page of [first, first + PTRS_PER_PTE - 1, first + PTRS_PER_PTE]) native.userStore(page, 0, 7)
  return { mm, first, tables: () => load(mm + Mm.tableWords) }
}

test.each(combinations)('a table goes when its whole span is given back, and only then (%s, %s)', (arch, design) => {
  const { mm, first, tables } = begin(arch, design, 'rcu-batch')
  const before = tables()
  expect(native.sysMadvise(mm, first, PTRS_PER_PTE - 1, Advice.dontneed)).toBe(0)
  expect(tables()).toBe(before)
  expect(read(first + PTRS_PER_PTE - 1)).toBe(7)
  expect(native.sysMadvise(mm, first, PTRS_PER_PTE, Advice.dontneed)).toBe(0)
  expect(tables()).toBe(before - PTE_TABLE_WORDS)
  expect(read(first)).toBe(0)
  expect(read(first + PTRS_PER_PTE)).toBe(7)
  // Its other pages were never touched, but Linux does not look.
  native.sysMadvise(mm, first + PTRS_PER_PTE, 1, Advice.dontneed)
  expect(tables()).toBe(before)
  native.sysExit(mm)
})

test.each([
  ['x86_64', 'immediate'],
  ['x86_64', 'ipi'],
  ['x86_64', 'ipi-all'],
  ['x86-pae', 'rcu-batch'],
])('no table goes where faults could still be walking it, or reading half an entry (%s, %s)', (arch, freeing) => {
  const { mm, first, tables } = begin(arch, 'vma-lock', freeing)
  const before = tables()
  native.sysMadvise(mm, first, PTRS_PER_PTE, Advice.dontneed)
  expect(tables()).toBe(before)
  native.sysExit(mm)
})
