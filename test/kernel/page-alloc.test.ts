// The buddy allocator: blocks do not overlap, lie aligned, and join again to what they were.
import { expect, test } from 'vitest'
import { randomScheduler } from '../../src/check/index.ts'
import { Global, MAX_ORDER } from '../../src/kernel/machine/globals.ts'
import { load } from '../../src/kernel/machine/instructions.ts'
import { Page, pageToPfn } from '../../src/kernel/memory/page.ts'
import { allocPage, allocPages, freePage, freePages } from '../../src/kernel/memory/page-alloc.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'

/** First frame and order of every free block. */
function freeBlocks(): string[] {
  const blocks: string[] = []
  for (let order = 0; order < MAX_ORDER; order++) {
    for (let page = load(Global.freeHeads + order); page !== 0; page = load(page + Page.next))
      blocks.push(`${pageToPfn(page)}+${1 << order}`)
  }
  return blocks.sort()
}

test('what is allocated in any order and freed in any order is whole again', () => {
  attachCpu(bootMachine({ geometry: 'small', cpus: 1, poison: true }), 0)
  const before = freeBlocks()
  const frames = load(Global.freePages)
  const dice = randomScheduler(3)
  const die = new Int32Array(64)
  for (let round = 0; round < 30; round++) {
    const held: [page: number, order: number][] = []
    const owner = new Map<number, number>([[0, 0]])
    for (let turn = 0; turn < 60; turn++) {
      if (held.length > 0 && dice.choose(die, 3) === 0) {
        const [page, order] = held.splice(dice.choose(die, held.length), 1)[0] as [number, number]
        for (let i = 0; i < 1 << order; i++) owner.delete(pageToPfn(page) + i)
        freePages(page, order)
        continue
      }
      const order = dice.choose(die, 5)
      const page = allocPages(order, 0)
      if (page === 0) continue
      expect(pageToPfn(page) % (1 << order)).toBe(0)
      for (let i = 0; i < 1 << order; i++) {
        expect(owner.has(pageToPfn(page) + i)).toBe(false)
        owner.set(pageToPfn(page) + i, page)
      }
      held.push([page, order])
      expect(load(Global.freePages)).toBe(frames - (owner.size - 1))
    }
    while (held.length > 0) freePages(...(held.splice(dice.choose(die, held.length), 1)[0] as [number, number]))
    expect(freeBlocks()).toEqual(before)
  }
})

test('a CPU’s list gives frames back to the zone when it is full', () => {
  attachCpu(bootMachine({ geometry: 'small', cpus: 1 }), 0)
  const pages = Array.from({ length: 200 }, () => allocPage(0))
  expect(new Set(pages).size).toBe(200)
  expect(pages).not.toContain(0)
  for (const page of pages) freePage(page)
  expect(load(Global.freePages)).toBeGreaterThan(150)
  expect(allocPages(5, 0)).toBeGreaterThan(0)
})
