// Memory of the maple tree: running out of it at any allocation changes nothing, what was set aside suffices, nothing leaks.
import { expect, test } from 'vitest'
import { load, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { mtCancelPreallocation, mtDestroy, mtPreallocate, mtStoreRange } from '../../src/kernel/vma/maple-store.ts'
import { MAPLE_LEAF, MapleNode, MapleTree, mteToNode, mtLoad } from '../../src/kernel/vma/maple-tree.ts'
import { bootMachine, drainCallbacks, exhaust, runCallbacks, TREE } from './maple-machine.ts'
import { generator, IntervalList, mtValidate } from './maple-validate.ts'

/** All words of the tree that mean something, in a fixed order. */
function dump(link = load(TREE + MapleTree.root)): string {
  if (link === 0) return 'empty'
  const node = mteToNode(link)
  const leaf = (link & MAPLE_LEAF) !== 0
  const words = [link, load(node + MapleNode.parent), load(node + MapleNode.end), load(node + MapleNode.min), load(node + MapleNode.max)]
  const children: string[] = []
  for (let i = 0; i <= load(node + MapleNode.end); i++) {
    words.push(load(node + MapleNode.pivot + i), load(node + MapleNode.slot + i))
    if (!leaf) words.push(load(node + MapleNode.gap + i))
    if (!leaf) children.push(dump(load(node + MapleNode.slot + i)))
  }
  return `${words.join(' ')}\n${children.join('')}`
}

/** Stores to grow and shrink a tree of single pages and small ranges, with a spanning store now and then. */
function* stores(seed: number, steps: number): Generator<[number, number, number]> {
  const random = generator(seed)
  for (let step = 0; step < steps; step++) {
    const growing = Math.floor(step / 1500) % 2 === 0
    const first = Math.floor(random() * 4000)
    const length = random() < 0.01 ? 1 + Math.floor(random() * 600) : 1 + Math.floor(random() * 3)
    yield [first, first + length - 1, random() < (growing ? 0.1 : 0.8) ? 0 : 8 * (step + 1)]
  }
}

/** Brings this CPU's list of free nodes to at least 30. */
function fillList(): void {
  if (load(thisCpu() + Cpu.slabCount + Cache.mapleNode) >= 30) return
  const nodes = Array.from({ length: 40 }, () => kmemCacheAlloc(Cache.mapleNode))
  for (const node of nodes) kmemCacheFree(Cache.mapleNode, node)
}

test('out of memory at any allocation leaves the tree as it was', { timeout: 120_000 }, () => {
  bootMachine(512)
  const list = new IntervalList()
  const failures: number[] = []
  for (const [first, last, entry] of stores(1, 12_000)) {
    fillList()
    const before = dump()
    const inUse = slabObjectsInUse(Cache.mapleNode)
    for (let nodes = 0; ; nodes++) {
      const giveBack = exhaust(nodes)
      const result = mtStoreRange(TREE, first, last, entry)
      giveBack()
      if (result === 0) break
      failures[nodes] = (failures[nodes] ?? 0) + 1
      if (result !== -12) throw new Error(`result ${result}`)
      if (dump() !== before) throw new Error('the failed store changed the tree')
      if (slabObjectsInUse(Cache.mapleNode) !== inUse) throw new Error('the failed store kept a node')
    }
    list.store(first, last, entry)
    if (mtLoad(TREE, first) !== entry || mtLoad(TREE, last) !== entry) throw new Error('the store that succeeded did not store')
    runCallbacks()
  }
  const shape = mtValidate(TREE)
  drainCallbacks()
  expect(slabObjectsInUse(Cache.mapleNode)).toBe(shape.nodes)
  for (const range of list.ranges) expect(mtLoad(TREE, range.first)).toBe(range.entry)
  // Stores of one node, of a split, and of splits or merges up the tree have all failed at each of their allocations.
  expect(failures.length).toBeGreaterThanOrEqual(5)
  for (const count of failures) expect(count).toBeGreaterThan(0)
})

test('a store that was preallocated cannot fail', { timeout: 120_000 }, () => {
  bootMachine(512)
  let most = 0
  for (const [first, last, entry] of stores(2, 12_000)) {
    expect(mtPreallocate(TREE, first, last, entry)).toBe(0)
    most = Math.max(most, load(thisCpu() + Cpu.masSpareCount))
    const giveBack = exhaust(0)
    const result = mtStoreRange(TREE, first, last, entry)
    giveBack()
    expect(result).toBe(0)
    // The plan is exact: nothing is set aside that is not used.
    expect(load(thisCpu() + Cpu.masSpareCount)).toBe(0)
    runCallbacks()
  }
  expect(most).toBeGreaterThanOrEqual(6)
  drainCallbacks()
  expect(slabObjectsInUse(Cache.mapleNode)).toBe(mtValidate(TREE).nodes)
})

test('a cancelled preallocation gives its nodes back', () => {
  bootMachine(64)
  expect(mtStoreRange(TREE, 10, 20, 8)).toBe(0)
  expect(mtPreallocate(TREE, 12, 13, 16)).toBe(0)
  expect(slabObjectsInUse(Cache.mapleNode)).toBe(2)
  mtCancelPreallocation()
  expect(slabObjectsInUse(Cache.mapleNode)).toBe(1)
  expect(mtLoad(TREE, 12)).toBe(8)
})

test('an exact overwrite and an erasure of what is free need no memory', () => {
  bootMachine(64)
  expect(mtStoreRange(TREE, 10, 20, 8)).toBe(0)
  expect(mtStoreRange(TREE, 30, 40, 16)).toBe(0)
  drainCallbacks()
  const giveBack = exhaust(0)
  expect(mtStoreRange(TREE, 10, 20, 24)).toBe(0)
  expect(mtStoreRange(TREE, 21, 29, 0)).toBe(0)
  expect(mtStoreRange(TREE, 41, 0x7fffffff, 0)).toBe(0)
  expect(mtStoreRange(TREE, 25, 27, 0)).toBe(0)
  expect(mtStoreRange(TREE, 15, 15, 0)).toBe(-12)
  giveBack()
  expect(mtLoad(TREE, 15)).toBe(24)
  mtValidate(TREE)
})

test('mtDestroy frees every node of a tree of any height', () => {
  bootMachine(1024)
  for (const entries of [0, 1, 2, 20, 300, 5000]) {
    for (let i = 0; i < entries; i++) expect(mtStoreRange(TREE, i * 3, i * 3 + 1, 8 * (i + 1))).toBe(0)
    drainCallbacks()
    expect(slabObjectsInUse(Cache.mapleNode)).toBe(mtValidate(TREE).nodes)
    mtDestroy(TREE)
    expect(slabObjectsInUse(Cache.mapleNode)).toBe(0)
    expect(mtLoad(TREE, 0)).toBe(0)
  }
})
