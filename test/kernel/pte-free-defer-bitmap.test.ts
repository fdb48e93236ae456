// Deferral by bitmaps beside a page of fragments: as sketched it forgets the first fragment and queues the head for the third; put right
// it queues the head once, and again for what came meanwhile. And what the maps cost.
import { expect, test } from 'vitest'
import * as kernel from '../../src/kernel/kernel.ts'
import { load, perCpu, readOnce, store, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Page, virtToPage } from '../../src/kernel/memory/page.ts'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { upperTable } from '../../src/kernel/pagetable/entries.ts'
import { FragmentMap, fragmentMap, fragmentMapsWords } from '../../src/kernel/pagetable/fragment-maps.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { rcuSoftirq } from '../../src/kernel/softirq.ts'
import { RcuHead, rcuAdvance } from '../../src/kernel/sync/rcu.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const FRAGMENTS = 16
const TABLE = 4

/** A machine with three neighbouring PTE tables, fragments of one page: its mm, that page and its map. */
function threeFragments(freeing: string): { mm: number; page: number; map: number } {
  attachCpu(bootMachine({ arch: 'powerpc64-hash-64k', geometry: 'small', cpus: 1, freeing, poison: true }), 0)
  const mm = kernel.sysNewMm()
  kernel.sysSwitchMm(mm)
  kernel.sysMmap(mm, 100, 3 * TABLE, RW, 1, 0, 0)
  for (let i = 0; i < 3; i++) kernel.userStore(100 + i * TABLE, 0, 1)
  const table = upperTable(readOnce(findPmd(mm, 100)))
  return { mm, page: virtToPage(table), map: fragmentMap(table) }
}

/** How often `head` is among the callbacks that the CPU has collected; stops where the list leads back to itself. */
function queued(head: number): number {
  const found: number[] = []
  for (let at = load(perCpu(0) + Cpu.rcuNextHead); at !== 0 && !found.includes(at); at = load(at + RcuHead.next)) found.push(at)
  return found.filter((at) => at === head).length
}

function barrier(): void {
  kernel.enterKernel()
  kernel.rcuBarrier()
  kernel.exitKernel()
}

const inUse = (page: number): number => load(page + Page.ptFragRefcount)

test('as sketched, one deferred fragment is queued by nobody', () => {
  const { mm, page, map } = threeFragments('pte-free-defer-bitmap')
  kernel.sysMunmap(mm, 100, TABLE)
  expect([readOnce(map + FragmentMap.pending), queued(map)]).toEqual([1, 0])
  barrier()
  expect(inUse(page)).toBe(FRAGMENTS)
  // A second one takes the first along.
  kernel.sysMunmap(mm, 104, TABLE)
  expect([readOnce(map + FragmentMap.pending), queued(map)]).toEqual([3, 1])
  barrier()
  expect([readOnce(map + FragmentMap.pending), inUse(page)]).toEqual([0, FRAGMENTS - 2])
})

test('as sketched, a third deferral queues the head while it is queued', () => {
  const { mm, map } = threeFragments('pte-free-defer-bitmap')
  kernel.sysMunmap(mm, 100, 3 * TABLE)
  expect([readOnce(map + FragmentMap.pending), queued(map)]).toEqual([7, 1])
  // One callback that was counted is not in the list.
  let length = 0
  for (let at = load(perCpu(0) + Cpu.rcuNextHead); at !== 0; at = load(at + RcuHead.next)) length++
  expect(length).toBe(load(thisCpu() + Cpu.rcuCallbacks) - 1)
})

test('put right, the first one queues the head, and those that come during its period get one of their own', () => {
  const { mm, page, map } = threeFragments('pte-free-defer-bitmap-fixed')
  kernel.sysMunmap(mm, 100, TABLE)
  expect([readOnce(map + FragmentMap.pending), load(map + FragmentMap.due), queued(map)]).toEqual([1, 1, 1])
  expect(rcuAdvance()).toBe(0)
  kernel.sysMunmap(mm, 104, 2 * TABLE)
  expect([readOnce(map + FragmentMap.pending), load(map + FragmentMap.due), queued(map)]).toEqual([7, 1, 0])
  store(thisCpu() + Cpu.rcuCallbacks, load(thisCpu() + Cpu.rcuCallbacks) + 1000)
  kernel.enterKernel()
  rcuSoftirq()
  store(thisCpu() + Cpu.rcuCallbacks, load(thisCpu() + Cpu.rcuCallbacks) - 1000)
  kernel.exitKernel()
  expect([readOnce(map + FragmentMap.pending), load(map + FragmentMap.due), inUse(page)]).toEqual([6, 6, FRAGMENTS - 1])
  barrier()
  expect([readOnce(map + FragmentMap.pending), inUse(page)]).toEqual([0, FRAGMENTS - 3])
})

test('a page of fragments has maps of its own where the policy wants them, and they go with it', () => {
  const { mm } = threeFragments('pte-free-defer-bitmap-fixed')
  expect([fragmentMapsWords(), slabObjectsInUse(Cache.fragmentMaps)]).toEqual([5, 1])
  kernel.sysSwitchMm(0)
  kernel.sysExit(mm)
  barrier()
  expect(slabObjectsInUse(Cache.fragmentMaps)).toBe(0)
  threeFragments('pte-free-defer')
  expect(slabObjectsInUse(Cache.fragmentMaps)).toBe(0)
})
