// What must hold of a maple tree between two stores (as Linux's mt_validate), and a plain sorted list of intervals to
// compare it with.
import { load } from '../../src/kernel/machine/instructions.ts'
import { MAPLE_LEAF, MAPLE_MAX, MapleNode, MapleTree, mteParentSlot, mteToNode } from '../../src/kernel/vma/maple-tree.ts'

// Linux's numbers, written down a second time on purpose.
const LEAF_SLOTS = 16
const LEAF_MIN = 6
const INNER_SLOTS = 10
const INNER_MIN = 4

/** What a tree consists of. */
export interface Shape {
  nodes: number
  height: number
  slots: number
  leaves: number
}

function demand(condition: boolean, what: string, node: number): void {
  if (!condition) throw new Error(`maple tree: ${what} (node ${node})`)
}

/** Walks the whole tree and throws at the first thing that is wrong. */
export function mtValidate(tree: number): Shape {
  const shape: Shape = { nodes: 0, height: 0, slots: 0, leaves: 0 }
  const root = load(tree + MapleTree.root)
  if (root === 0) return shape
  demand(load(mteToNode(root) + MapleNode.parent) === 0, 'the root has a parent', mteToNode(root))
  let lastWasFree = false

  /** Returns the longest free range below `link`. */
  function validate(link: number, min: number, max: number, depth: number): number {
    const node = mteToNode(link)
    const leaf = (link & MAPLE_LEAF) !== 0
    const end = load(node + MapleNode.end)
    const isRoot = depth === 1
    shape.nodes++
    demand(load(node + MapleNode.min) === min, 'min', node)
    demand(load(node + MapleNode.max) === max, 'max', node)
    demand(load(node + MapleNode.pivot + end) === max, 'the last pivot is not max', node)
    demand(end < (leaf ? LEAF_SLOTS : INNER_SLOTS), 'too many slots', node)
    if (isRoot) demand(leaf || end >= 1, 'an internal root with one child', node)
    else demand(end + 1 >= (leaf ? LEAF_MIN : INNER_MIN), `${end + 1} slots are too few`, node)
    let longest = 0
    let first = min
    for (let i = 0; i <= end; i++) {
      const last = load(node + MapleNode.pivot + i)
      demand(last >= first && last <= max, `pivot ${i} out of order`, node)
      const slot = load(node + MapleNode.slot + i)
      if (leaf) {
        demand((slot & 7) === 0, `slot ${i} is no entry`, node)
        if (slot === 0) {
          demand(!lastWasFree, `two free ranges in a row at slot ${i}`, node)
          longest = Math.max(longest, last - first + 1)
        }
        lastWasFree = slot === 0
        shape.slots++
      } else {
        const up = load(mteToNode(slot) + MapleNode.parent)
        demand(mteToNode(up) === node && mteParentSlot(up) === i, `parent link of child ${i}`, node)
        const gap = validate(slot, first, last, depth + 1)
        demand(load(node + MapleNode.gap + i) === gap, `gap ${i} is ${load(node + MapleNode.gap + i)}, not ${gap}`, node)
        longest = Math.max(longest, gap)
      }
      first = last + 1
    }
    if (leaf) {
      shape.leaves++
      demand(max === MAPLE_MAX || !lastWasFree, 'a leaf ends with a free range', node)
      if (shape.height === 0) shape.height = depth
      demand(shape.height === depth, 'leaves at different depths', node)
      if (isRoot) demand(end > 0 || !lastWasFree, 'an empty root', node)
    }
    return longest
  }
  validate(root, 0, MAPLE_MAX, 1)
  return shape
}

/** A range of the oracle. */
export interface Range {
  first: number
  last: number
  entry: number
}

/** The oracle: entries in a sorted array. */
export class IntervalList {
  ranges: Range[] = []

  /** The place of the first range that ends at or after `index`. */
  at(index: number): number {
    let low = 0
    let high = this.ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.ranges[middle]!.last < index) low = middle + 1
      else high = middle
    }
    return low
  }

  store(first: number, last: number, entry: number): void {
    const from = this.at(first)
    let to = from
    const put: Range[] = []
    while (to < this.ranges.length && this.ranges[to]!.first <= last) to++
    if (to > from) {
      const head = this.ranges[from]!
      const tail = this.ranges[to - 1]!
      if (head.first < first) put.push({ first: head.first, last: first - 1, entry: head.entry })
      if (entry !== 0) put.push({ first, last, entry })
      if (tail.last > last) put.push({ first: last + 1, last: tail.last, entry: tail.entry })
    } else if (entry !== 0) put.push({ first, last, entry })
    this.ranges.splice(from, to - from, ...put)
  }

  load(index: number): number {
    const range = this.ranges[this.at(index)]
    return range !== undefined && range.first <= index ? range.entry : 0
  }

  find(index: number, max: number): Range | undefined {
    const range = this.ranges[this.at(index)]
    return range !== undefined && index <= max && range.first <= max ? range : undefined
  }

  /** The bounds of the range, entry or free, that covers `index`. */
  bounds(index: number): [number, number] {
    const i = this.at(index)
    const range = this.ranges[i]
    if (range !== undefined && range.first <= index) return [range.first, range.last]
    return [i === 0 ? 0 : this.ranges[i - 1]!.last + 1, range === undefined ? MAPLE_MAX : range.first - 1]
  }

  /** The highest (or lowest) start of `size` free pages in [min, max], or -16. */
  emptyArea(min: number, max: number, size: number, highest: boolean): number {
    let answer = -16
    let first = min
    for (let i = this.at(min); first <= max; i++) {
      const range = this.ranges[i]
      const last = Math.min(max, range === undefined ? MAPLE_MAX : range.first - 1)
      if (last - first + 1 >= size) {
        answer = highest ? last - size + 1 : first
        if (!highest) return answer
      }
      if (range === undefined) break
      first = Math.max(first, range.last + 1)
    }
    return answer
  }
}

/** mulberry32: numbers in [0, 1). */
export function generator(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
