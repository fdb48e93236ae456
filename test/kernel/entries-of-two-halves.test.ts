// Entries of two halves as a thread sees them: what is stored where, in which machine's memory, and what reads it back.
import { describe, expect, test } from 'vitest'
import { ENTRY_READ, EntryRead, PTE_LOW, UPPER_LOW } from '../../src/kernel/arch/arch.ts'
import { architectures } from '../../src/kernel/arch/architectures.ts'
import * as kernel from '../../src/kernel/kernel.ts'
import { allocateHeap, bindHeap, boundHeap } from '../../src/kernel/machine/heap.ts'
import { load, store } from '../../src/kernel/machine/instructions.ts'
import * as entries from '../../src/kernel/pagetable/entries.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { pteOffsetKernel } from '../../src/kernel/pagetable/pte-offset-map.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import { soundArchitectures } from '../../src/machine/shape.ts'

const { Pte } = entries
const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const PAGE = 41

/** A machine with one page written to. Returns its PTE and PMD slots. */
function withOnePage(arch: string): { mm: number; pmd: number; ptep: number } {
  attachCpu(bootMachine({ arch, geometry: 'small', cpus: 1 }), 0)
  const mm = kernel.sysNewMm()
  kernel.sysSwitchMm(mm)
  // Others take the frames whose numbers have no high half.
  kernel.sysMmap(mm, 200, 2, RW, 1, 0, 0)
  for (const page of [200, 201]) kernel.userStore(page, 0, 1)
  kernel.sysMmap(mm, PAGE, 2, RW, 1, 0, 0)
  kernel.userStore(PAGE, 0, 7)
  const pmd = findPmd(mm, PAGE)
  return { mm, pmd, ptep: pteOffsetKernel(pmd, PAGE) }
}

describe('on x86 with PAE', () => {
  test('both halves of an entry carry bits of the frame, and no bit is in both', () => {
    const { pmd, ptep } = withOnePage('x86-pae')
    for (const [slot, low] of [
      [ptep, PTE_LOW],
      [pmd, UPPER_LOW],
    ] as const) {
      expect(load(slot) & ~low).toBe(0)
      expect(load(slot + 1)).not.toBe(0)
      expect(load(slot + 1) & low).toBe(0)
    }
    expect(entries.ptepGet(ptep)).toBe(load(ptep) | load(ptep + 1))
    expect(entries.ptepGetLockless(ptep)).toBe(entries.ptepGet(ptep))
    expect(entries.hardwareGet(pmd)).toBe(entries.upperGet(pmd))
  })

  test('an entry that is stored, changed and cleared leaves nothing behind', () => {
    const { ptep } = withOnePage('x86-pae')
    const slot = ptep + 2
    const pte = entries.pfnPte(77, Pte.present | Pte.write)
    entries.setPte(slot, pte)
    expect(entries.ptepGet(slot)).toBe(pte)
    expect(entries.hardwareSet(slot, pte | Pte.exec, Pte.dirty)).toBe(false)
    expect(entries.hardwareSet(slot, pte, Pte.accessed | Pte.dirty)).toBe(true)
    expect(entries.ptepTryReplace(slot, pte, pte & ~Pte.write)).toBe(false)
    const now = pte | Pte.accessed | Pte.dirty
    expect(entries.ptepTryReplace(slot, now, now & ~Pte.write)).toBe(true)
    expect(entries.ptepGetAndClear(slot)).toBe(now & ~Pte.write)
    expect([load(slot), load(slot + 1)]).toEqual([0, 0])
  })

  test('none is what has no low half', () => {
    const { ptep } = withOnePage('x86-pae')
    store(ptep + 3, ~PTE_LOW)
    expect([entries.ptepGet(ptep + 2), entries.ptepGetLockless(ptep + 2)]).toEqual([0, 0])
  })

  test('tables that are gone leave both halves of the entry above 0', () => {
    const { mm, pmd } = withOnePage('x86-pae')
    kernel.sysMmap(mm, PAGE + 8, 1, RW, 1, 0, 0)
    kernel.userStore(PAGE + 8, 0, 1)
    kernel.sysMunmap(mm, PAGE, 2)
    expect([load(pmd), load(pmd + 1)]).toEqual([0, 0])
  })
})

test('elsewhere the high word is never written', () => {
  for (const { name, entryRead } of soundArchitectures) {
    const { pmd, ptep } = withOnePage(name)
    expect(ENTRY_READ).toBe(entryRead)
    if (entryRead === EntryRead.whole) expect([load(pmd + 1), load(ptep + 1), PTE_LOW]).toEqual([0, 0, -1])
  }
  expect(soundArchitectures.filter(({ draft }) => draft)).toEqual([])
  expect(architectures.filter(({ draft }) => draft).map(({ name }) => name)).toEqual(['x86-pae-irqs-on', 'x86-pae-irqs-off-until-unmap'])
})

describe.each(['WebAssembly', 'Atomics'])('the two words of an entry in one go, with %s', (kind) => {
  const P = 20
  const fresh = (low: number, high: number): ReturnType<typeof boundHeap> => {
    const memory = allocateHeap(65536)
    if (kind === 'WebAssembly') bindHeap(memory?.buffer as SharedArrayBuffer, memory)
    else bindHeap(new SharedArrayBuffer(65536))
    const heap = boundHeap()
    heap.words.set([1, low, high, 1], P - 1)
    return heap
  }

  test('are read together, without their neighbours', () => {
    const { ops } = fresh(0x80000004 | 0, 0x7f000000)
    expect(ops.readWhole(P)).toBe(0xff000004 | 0)
  })

  test('are changed only where they are what was expected', () => {
    const { ops, words } = fresh(5, 0x80000000 | 0)
    expect([ops.orWhole(P, 5, 2), ops.orWhole(P, 0x80000000 | 0, 2)]).toEqual([0, 0])
    expect(ops.orWhole(P, 0x80000005 | 0, 10)).toBe(1)
    expect([...words.subarray(P - 1, P + 3)]).toEqual([1, 15, 0x80000000 | 0, 1])
  })
})
