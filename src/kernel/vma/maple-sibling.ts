// Which neighbour takes part when a store leaves too few or too many slots for the nodes that it replaces.
import { load } from '../machine/instructions.ts'
import { INNER_MIN, INNER_SLOTS, LEAF_MIN, LEAF_SLOTS, MAPLE_MAX, MapleNode, mteOffset, mteParentSlot, mteToNode } from './maple-tree.ts'

/** Slots that two nodes may have between them for one to take over part of the other's: fuller ones would soon do it again. */
const LEAF_SHARE = 27
const INNER_SHARE = 17

/** The node of the same level as `node` that covers `index`. The tree's lock is held for writing. */
function nodeAt(node: number, index: number): number {
  let depth = 0
  while (index < load(node + MapleNode.min) || index > load(node + MapleNode.max)) {
    node = mteToNode(load(node + MapleNode.parent))
    depth++
  }
  while (depth > 0) {
    node = mteToNode(load(node + MapleNode.slot + mteOffset(node, index)))
    depth--
  }
  return node
}

/**
 * The node beside those from `left` to `right`, of one level, that must be replaced with them when `total` slots are to
 * stay of them; 0 if they can do without, or are the whole level. A child of the same parent is preferred.
 */
export function masSibling(left: number, right: number, total: number, leaf: number): number {
  const few = total < (leaf !== 0 ? LEAF_MIN : INNER_MIN)
  const many = total > (leaf !== 0 ? LEAF_SLOTS : INNER_SLOTS) && left === right
  if (!few && !many) return 0
  const up = load(left + MapleNode.parent)
  const upRight = load(right + MapleNode.parent)
  if (up === 0) return 0
  const parent = mteToNode(up)
  const parentRight = mteToNode(upRight)
  const previous = mteParentSlot(up) > 0 ? mteToNode(load(parent + MapleNode.slot + mteParentSlot(up) - 1)) : 0
  const next =
    mteParentSlot(upRight) < load(parentRight + MapleNode.end)
      ? mteToNode(load(parentRight + MapleNode.slot + mteParentSlot(upRight) + 1))
      : 0
  if (many) {
    const share = leaf !== 0 ? LEAF_SHARE : INNER_SHARE
    if (next !== 0 && total + load(next + MapleNode.end) + 1 <= share) return next
    return previous !== 0 && total + load(previous + MapleNode.end) + 1 <= share ? previous : 0
  }
  if (next !== 0) return next
  if (previous !== 0) return previous
  if (load(right + MapleNode.max) !== MAPLE_MAX) return nodeAt(right, load(right + MapleNode.max) + 1)
  return load(left + MapleNode.min) !== 0 ? nodeAt(left, load(left + MapleNode.min) - 1) : 0
}
