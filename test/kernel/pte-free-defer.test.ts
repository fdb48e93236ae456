// The drafts of pte_free_defer for fragments that share a page: the first queues one rcu_head twice, the second queues it once
// and gives a late fragment a grace period of its own.
import { expect, test } from 'vitest'
import * as kernel from '../../src/kernel/kernel.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, perCpu, readOnce, store, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Page, PageFlag, virtToPage } from '../../src/kernel/memory/page.ts'
import { upperTable } from '../../src/kernel/pagetable/entries.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { rcuSoftirq } from '../../src/kernel/softirq.ts'
import { RcuHead, rcuAdvance } from '../../src/kernel/sync/rcu.ts'
import { RcuFunc } from '../../src/kernel/sync/rcu-func.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine, type MachineHandle } from '../../src/machine/machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const FRAGMENTS = 16
const DEFERRED = 0x10000
const TABLE = 4

/** A machine whose CPU 0 has three neighbouring PTE tables, fragments of one page; its struct page. */
function threeFragments(freeing: string, arch = 'powerpc64-hash-64k'): { machine: MachineHandle; mm: number; page: number } {
  const machine = bootMachine({ arch, geometry: 'small', cpus: 2, freeing, poison: true })
  attachCpu(machine, 0)
  const mm = kernel.sysNewMm()
  kernel.sysSwitchMm(mm)
  kernel.sysMmap(mm, 100, 3 * TABLE, RW, 1, 0, 0)
  for (let i = 0; i < 3; i++) kernel.userStore(100 + i * TABLE, 0, 1)
  return { machine, mm, page: virtToPage(upperTable(readOnce(findPmd(mm, 100)))) }
}

/** The heads of callbacks that CPU 0 has collected; stops at one that leads back to itself. */
function heads(): number[] {
  const found: number[] = []
  for (let head = load(perCpu(0) + Cpu.rcuNextHead); head !== 0 && !found.includes(head); head = load(head + RcuHead.next)) found.push(head)
  return found
}

/** Those of kind `func`. */
function queued(func: number): number[] {
  return heads().filter((head) => load(head + RcuHead.func) === func)
}

function barrier(): void {
  kernel.enterKernel()
  kernel.rcuBarrier()
  kernel.exitKernel()
}

test('the first draft queues the one rcu_head for each of two fragments', () => {
  const { mm, page } = threeFragments('pte-free-defer-one-head')
  kernel.sysMunmap(mm, 100, TABLE)
  expect(queued(RcuFunc.tableFragment)).toEqual([page + Page.rcuHead])
  expect(heads()).toHaveLength(load(thisCpu() + Cpu.rcuCallbacks))
  barrier()
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 1)
  // Two under way: the head is in the list once, and a callback that was counted is not in it.
  kernel.sysMunmap(mm, 104, 2 * TABLE)
  expect(queued(RcuFunc.tableFragment)).toEqual([page + Page.rcuHead])
  expect(heads()).toHaveLength(load(thisCpu() + Cpu.rcuCallbacks) - 1)
})

test('where a table is a page the first draft is the usual scheme', () => {
  const { mm, page } = threeFragments('pte-free-defer-one-head', 'x86_64')
  kernel.sysMunmap(mm, 100, 2 * TABLE)
  expect(queued(RcuFunc.tablePage)).toContain(page + Page.rcuHead)
  expect(queued(RcuFunc.tablePage)).toHaveLength(2)
  expect(queued(RcuFunc.tableFragment)).toEqual([])
  barrier()
  expect(load(page + Page.flags) & PageFlag.table).toBe(0)
})

test('the second draft queues the head once, and counts both fragments', () => {
  const { mm, page } = threeFragments('pte-free-defer-increments')
  kernel.sysMunmap(mm, 100, 2 * TABLE)
  expect(queued(RcuFunc.tableIncrements)).toEqual([page + Page.rcuHead])
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 2 + 2 * DEFERRED)
  barrier()
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 2)
  kernel.sysSwitchMm(0)
  kernel.sysExit(mm)
  barrier()
  expect(load(page + Page.flags) & PageFlag.table).toBe(0)
})

test('in the second draft fragments that come in during a grace period wait for the next one', () => {
  const { machine, mm, page } = threeFragments('pte-free-defer-increments')
  const runDue = (): void => {
    // As if enough had been collected.
    store(thisCpu() + Cpu.rcuCallbacks, load(thisCpu() + Cpu.rcuCallbacks) + 1000)
    kernel.enterKernel()
    rcuSoftirq()
    store(thisCpu() + Cpu.rcuCallbacks, load(thisCpu() + Cpu.rcuCallbacks) - 1000)
    kernel.exitKernel()
  }
  kernel.sysMunmap(mm, 100, TABLE)
  expect(rcuAdvance()).toBe(0)
  expect(load(Global.rcuGpSeq) & 1).toBe(0)
  // The period of the first one is over. A walker on CPU 1 may now find the second and the third.
  attachCpu(machine, 1)
  kernel.enterKernel()
  attachCpu(machine, 0)
  kernel.sysMunmap(mm, 104, 2 * TABLE)
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 3 + 3 * DEFERRED)
  runDue()
  // The first is free; the others are one deferral now, and nobody has freed them.
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 3 + DEFERRED)
  for (let i = 0; i < 4; i++) runDue()
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 3 + DEFERRED)
  attachCpu(machine, 1)
  kernel.exitKernel()
  attachCpu(machine, 0)
  barrier()
  expect(load(page + Page.ptFragRefcount)).toBe(FRAGMENTS - 3)
})
