// Free ranges of a maple tree. An internal node knows for each child the longest free range below it, so that a search
// enters only subtrees that can answer. Gap words are read and written under the tree's lock, never under RCU alone.
import { load, store } from '../machine/instructions.ts'
import { MAPLE_LEAF, MapleNode, MapleTree, mteFirst, mteParentSlot, mteToNode } from './maple-tree.ts'

const EBUSY = 16

/** The longest free range of `leaf` in pages. The tree's lock is held, or the leaf is not published. */
export function masLeafGap(leaf: number): number {
  const end = load(leaf + MapleNode.end)
  let longest = 0
  let before = load(leaf + MapleNode.min) - 1
  for (let i = 0; i <= end; i++) {
    const last = load(leaf + MapleNode.pivot + i)
    if (load(leaf + MapleNode.slot + i) === 0 && last - before > longest) longest = last - before
    before = last
  }
  return longest
}

/** The longest free range below internal node `node`. Lock as `masLeafGap`. */
export function masInnerGap(node: number): number {
  const end = node + MapleNode.gap + load(node + MapleNode.end)
  let longest = 0
  for (let p = node + MapleNode.gap; p <= end; p++) if (load(p) > longest) longest = load(p)
  return longest
}

/** Tells the ancestors of `node` that its longest free range is now `gap` pages. The tree's lock is held for writing. */
export function masUpdateGap(node: number, gap: number): void {
  let link = load(node + MapleNode.parent)
  while (link !== 0) {
    const parent = mteToNode(link)
    const p = parent + MapleNode.gap + mteParentSlot(link)
    if (load(p) === gap) return
    store(p, gap)
    gap = masInnerGap(parent)
    link = load(parent + MapleNode.parent)
  }
}

/**
 * mas_empty_area_rev: the highest start of a free range of `size` pages (at least 1) within [min, max], or -EBUSY. The
 * tree's lock is held for reading or writing.
 */
export function mtEmptyAreaRev(tree: number, min: number, max: number, size: number): number {
  if (max - min + 1 < size) return -EBUSY
  let link = load(tree + MapleTree.root)
  if (link === 0) return max - size + 1
  let offset = load(mteToNode(link) + MapleNode.end)
  for (;;) {
    const node = mteToNode(link)
    const leaf = (link & MAPLE_LEAF) !== 0
    while (offset >= 0) {
      const first = mteFirst(node, offset)
      const last = load(node + MapleNode.pivot + offset)
      if (last < min) return -EBUSY
      const high = Math.min(last, max)
      const fits = high - Math.max(first, min) + 1 >= size
      if (fits && leaf && load(node + MapleNode.slot + offset) === 0) return high - size + 1
      if (fits && !leaf && load(node + MapleNode.gap + offset) >= size) break
      offset--
    }
    if (offset >= 0) {
      link = load(node + MapleNode.slot + offset)
      offset = load(mteToNode(link) + MapleNode.end)
    } else {
      const up = load(node + MapleNode.parent)
      if (up === 0) return -EBUSY
      link = mteToNode(up)
      offset = mteParentSlot(up) - 1
    }
  }
}

/** mas_empty_area: the lowest start of a free range of `size` pages (at least 1) within [min, max], or -EBUSY. Lock as above. */
export function mtEmptyArea(tree: number, min: number, max: number, size: number): number {
  if (max - min + 1 < size) return -EBUSY
  let link = load(tree + MapleTree.root)
  if (link === 0) return min
  let offset = 0
  for (;;) {
    const node = mteToNode(link)
    const leaf = (link & MAPLE_LEAF) !== 0
    const end = load(node + MapleNode.end)
    while (offset <= end) {
      const first = mteFirst(node, offset)
      const last = load(node + MapleNode.pivot + offset)
      if (first > max) return -EBUSY
      const low = Math.max(first, min)
      const fits = Math.min(last, max) - low + 1 >= size
      if (fits && leaf && load(node + MapleNode.slot + offset) === 0) return low
      if (fits && !leaf && load(node + MapleNode.gap + offset) >= size) break
      offset++
    }
    if (offset <= end) {
      link = load(node + MapleNode.slot + offset)
      offset = 0
    } else {
      const up = load(node + MapleNode.parent)
      if (up === 0) return -EBUSY
      link = mteToNode(up)
      offset = mteParentSlot(up) + 1
    }
  }
}
