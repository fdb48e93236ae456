// Tables that are halves of a page: the bits in the page's reference count, the list of pages with a half to spare, what is handed out
// again and when; entries that are not zero when they are empty; tables of four pages, and more levels above a window than one.
import { describe, expect, test } from 'vitest'
import { EMPTY_PTE, PAGE_WORDS, PTE_TABLE_WORDS, UPPER_TABLE_ORDER } from '../../src/kernel/arch/arch.ts'
import * as kernel from '../../src/kernel/kernel.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, readOnce, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { listFirst } from '../../src/kernel/machine/list.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Mm, PgtableList } from '../../src/kernel/memory/mm.ts'
import { Page, PageFlag, pageToVirt, virtToPage } from '../../src/kernel/memory/page.ts'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { pteNone, upperTable } from '../../src/kernel/pagetable/entries.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { pgtableListOf } from '../../src/kernel/pagetable/pgtable-list.ts'
import { headBitsFreeDefer } from '../../src/kernel/pagetable/s390-head-bits.ts'
import { RcuHead } from '../../src/kernel/sync/rcu.ts'
import { RcuFunc } from '../../src/kernel/sync/rcu-func.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const TABLE = 4
const A = 24
const H = 26
const P = 28

function boot(freeing: string, more: object = {}): number {
  attachCpu(bootMachine({ arch: 's390', geometry: 'small', cpus: 1, freeing, poison: true, ...more }), 0)
  const mm = kernel.sysNewMm()
  kernel.sysSwitchMm(mm)
  return mm
}

/** Maps and writes a page in PTE table `n`. Returns the first word of the table. */
function use(mm: number, n: number): number {
  kernel.sysMmap(mm, n * TABLE, 1, RW, 1, 0, 0)
  expect(kernel.userStore(n * TABLE, 0, 1)).toBe(0)
  return tableOf(mm, n)
}

function tableOf(mm: number, n: number): number {
  return upperTable(readOnce(findPmd(mm, n * TABLE)))
}

/** A and P bits of a page's halves, as [A, P]. */
function bits(page: number): [number, number] {
  const count = load(page + Page.refcount)
  return [(count >>> A) & 3, (count >>> P) & 3]
}

function listHead(mm: number): number {
  return pgtableListOf(mm) + PgtableList.list
}

/** The pages on the mm's list, first to last. */
function listed(mm: number): number[] {
  const head = listHead(mm)
  const found: number[] = []
  for (let at = listFirst(head); at !== 0 && at !== head; at = load(at)) found.push(at - Page.next)
  return found
}

function barrier(): void {
  kernel.enterKernel()
  kernel.rcuBarrier()
  kernel.exitKernel()
}

function end(mm: number): void {
  kernel.sysSwitchMm(0)
  kernel.sysExit(mm)
  barrier()
}

test('a page has two tables, and is on the list while exactly one of them is allocated', () => {
  const mm = boot('rcu-batch')
  const first = use(mm, 4)
  const page = virtToPage(first)
  expect([first, bits(page), listed(mm)]).toEqual([pageToVirt(page), [1, 0], [page]])
  const second = use(mm, 6)
  expect([second, bits(page), listed(mm)]).toEqual([first + PTE_TABLE_WORDS, [3, 0], []])
  expect(virtToPage(use(mm, 8))).not.toBe(page)
  end(mm)
  expect(load(page + Page.flags) & PageFlag.table).toBe(0)
})

test('a half that waits in a batch is pending, and is handed out again only after its grace period', () => {
  const mm = boot('rcu-batch')
  const first = use(mm, 4)
  use(mm, 6)
  const page = virtToPage(first)
  kernel.sysMunmap(mm, 4 * TABLE, 1)
  expect([bits(page), listed(mm)]).toEqual([[2, 1], [page]])
  // The list's first page has nothing to give: a fresh one.
  const third = use(mm, 8)
  expect(virtToPage(third)).not.toBe(page)
  expect(listed(mm)).toEqual([virtToPage(third), page])
  barrier()
  expect(bits(page)).toEqual([2, 0])
  expect(use(mm, 10)).toBe(third + PTE_TABLE_WORDS)
  expect(use(mm, 12)).toBe(first)
  expect([bits(page), listed(mm)]).toEqual([[3, 0], []])
  end(mm)
})

test('a half that is freed at once comes first on the list', () => {
  const mm = boot('immediate')
  const first = use(mm, 4)
  use(mm, 6)
  use(mm, 8)
  kernel.sysMunmap(mm, 4 * TABLE, 1)
  // Through the gather: pending for a moment, and at the end of the list.
  expect([bits(virtToPage(first)), listed(mm).at(-1)]).toEqual([[2, 0], virtToPage(first)])
  end(mm)
})

test('a page with a deferred half is marked, on no list, and gives nothing out', () => {
  const mm = boot('pte-free-defer')
  const first = use(mm, 4)
  use(mm, 6)
  const page = virtToPage(first)
  kernel.sysMunmap(mm, 4 * TABLE, 1)
  expect([bits(page), listed(mm), load(page + Page.flags) & PageFlag.active]).toEqual([[2, 0], [], PageFlag.active])
  barrier()
  expect(virtToPage(use(mm, 8))).not.toBe(page)
  kernel.sysMunmap(mm, 6 * TABLE, 1)
  // Both are free: the page waits for a grace period, as a page.
  expect([bits(page), load(page + Page.flags) & PageFlag.table]).toEqual([[0, 0], PageFlag.table])
  barrier()
  expect(load(page + Page.flags)).toBe(0)
  end(mm)
})

test('the first draft queues the rcu_head of a page that is on the list', () => {
  const mm = boot('pte-free-defer-one-head')
  const first = use(mm, 4)
  const page = virtToPage(first)
  expect(listed(mm)).toEqual([page])
  kernel.sysMunmap(mm, 4 * TABLE, 1)
  // Still allocated, still the first of the list, and what was its place there is a callback now.
  expect([bits(page), listFirst(listHead(mm))]).toEqual([[1, 0], page + Page.next])
  expect(load(page + Page.next)).not.toBe(listHead(mm))
})

const HEAD_BITS = ['pte-free-defer-head-bits', 'pte-free-defer-head-bits-mm-lock', 'pte-free-defer-head-bits-typesafe']

describe.each(HEAD_BITS)('%s', (freeing) => {
  const heads = (page: number): number => (load(page + Page.refcount) >>> H) & 3

  test('a deferred half is on no list while it is pending, and is handed out again after its grace period', () => {
    const mm = boot(freeing)
    const first = use(mm, 4)
    use(mm, 6)
    const page = virtToPage(first)
    kernel.sysMunmap(mm, 4 * TABLE, 1)
    expect([bits(page), heads(page), listed(mm)]).toEqual([[2, 1], 1, []])
    expect(virtToPage(use(mm, 8))).not.toBe(page)
    barrier()
    expect([bits(page), heads(page), listed(mm)[0]]).toEqual([[2, 0], 0, page])
    expect(use(mm, 10)).toBe(first)
    end(mm)
    expect(load(page + Page.flags)).toBe(0)
  })

  test('the rcu_head serves one half after the other', () => {
    const mm = boot(freeing)
    const page = virtToPage(use(mm, 4))
    use(mm, 6)
    kernel.sysMunmap(mm, 6 * TABLE, 1)
    kernel.sysMunmap(mm, 4 * TABLE, 1)
    // Both want it; it is queued for the half that came first.
    expect([bits(page), heads(page), load(page + Page.rcuHead + RcuHead.func)]).toEqual([[0, 3], 3, RcuFunc.tableHighHalf])
    barrier()
    expect(load(page + Page.flags)).toBe(0)
    end(mm)
  })

  test('a page that was on the list with its only table leaves it', () => {
    const mm = boot(freeing)
    const page = virtToPage(use(mm, 4))
    expect(listed(mm)).toEqual([page])
    kernel.sysMunmap(mm, 4 * TABLE, 1)
    expect(listed(mm)).toEqual([])
    barrier()
    expect(load(page + Page.flags)).toBe(0)
    end(mm)
  })
})

test('the type-safe list goes with its address space, and its memory serves the next one', () => {
  const mm = boot('pte-free-defer-head-bits-typesafe')
  const list = pgtableListOf(mm)
  use(mm, 4)
  expect([list !== mm + Mm.pgtableList, slabObjectsInUse(Cache.pgtableList)]).toEqual([true, 1])
  end(mm)
  expect(slabObjectsInUse(Cache.pgtableList)).toBe(0)
  const next = kernel.sysNewMm()
  kernel.sysSwitchMm(next)
  expect([pgtableListOf(next), listed(next)]).toEqual([list, []])
  end(next)
})

test('one half may be freed in a batch and the other by head bits', () => {
  const mm = boot('rcu-batch-head-bits')
  const first = use(mm, 4)
  use(mm, 6)
  const page = virtToPage(first)
  kernel.sysMunmap(mm, 4 * TABLE, 1)
  expect([bits(page), listed(mm)]).toEqual([[2, 1], []])
  kernel.enterKernel()
  headBitsFreeDefer(tableOf(mm, 6))
  expect([bits(page), load(page + Page.rcuHead + RcuHead.func)]).toEqual([[0, 3], RcuFunc.tableHighHalf])
  kernel.exitKernel()
  barrier()
  expect(load(page + Page.flags)).toBe(0)
})

test('entries that map nothing are not zero: in fresh tables, in emptied ones, and in those that are handed out again', () => {
  const mm = boot('rcu-batch')
  expect(EMPTY_PTE).not.toBe(0)
  const empty = (table: number): boolean => Array.from({ length: TABLE }, (_, i) => load(table + 2 * i)).every((e) => e === EMPTY_PTE)
  const first = use(mm, 4)
  expect([pteNone(load(first)), pteNone(load(first + 2)), load(first + 2), pteNone(0)]).toEqual([false, true, EMPTY_PTE, false])
  expect(empty(first + PTE_TABLE_WORDS)).toBe(true)
  kernel.sysMadvise(mm, 4 * TABLE, 1, 4)
  expect(empty(first)).toBe(true)
  end(mm)
})

test('upper tables have four pages, and all of them come back', () => {
  const mm = boot('pte-free-defer', { geometry: 'real', memory: 4 << 20 })
  expect([UPPER_TABLE_ORDER, PAGE_WORDS << UPPER_TABLE_ORDER]).toEqual([2, 4096])
  const free = load(Global.freePages) + load(thisCpu() + Cpu.pcpCount)
  kernel.sysMmap(mm, 5000, 1, RW, 1, 0, 0)
  expect(kernel.userStore(5000, 0, 1)).toBe(0)
  // The segment table, a page of PTE tables, and the page itself; what slabs took is theirs.
  expect(load(mm + Mm.tableWords)).toBe(4096 + 4096 + 512)
  kernel.sysMunmap(mm, 5000, 1)
  expect(load(mm + Mm.tableWords)).toBe(4096)
  barrier()
  const slabs = free - load(Global.freePages) - load(thisCpu() + Cpu.pcpCount)
  kernel.sysMmap(mm, 5000, 1, RW, 1, 0, 0)
  expect(kernel.userStore(5000, 0, 1)).toBe(0)
  kernel.sysMunmap(mm, 5000, 1)
  barrier()
  expect(free - load(Global.freePages) - load(thisCpu() + Cpu.pcpCount)).toBe(slabs)
})

test('with five levels, tables of two levels above a window all go when the address space does', () => {
  const windows = [0, 9, 4000, 16383]
  const mm = boot('rcu-batch', { arch: 's390-5level', geometry: 'real', memory: 4 << 20, windows })
  const used = (): number => load(Global.managedPages) - load(Global.freePages) - load(thisCpu() + Cpu.pcpCount)
  const fill = (space: number): void => {
    for (let w = 0; w < windows.length; w++) {
      kernel.sysMmap(space, w * 2 ** 27 + 5000, 1, RW, 1, 0, 0)
      expect(kernel.userStore(w * 2 ** 27 + 5000, 0, w)).toBe(0)
    }
  }
  fill(mm)
  end(mm)
  const before = used()
  const again = kernel.sysNewMm()
  kernel.sysSwitchMm(again)
  fill(again)
  expect(load(again + Mm.tableWords)).toBe((1 + 1 + 4 + 4) * 4096 + 4 * 512)
  end(again)
  expect(used()).toBe(before)
})
