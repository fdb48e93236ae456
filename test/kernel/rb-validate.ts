// What must hold of a red-black tree of VMAs between two changes, computed from its nodes alone.
import { load } from '../../src/kernel/machine/instructions.ts'
import { Vma } from '../../src/kernel/vma/vma.ts'

const BLACK = 1

/** What a tree consists of. */
export interface RbShape {
  /** Its VMAs in order of address. */
  readonly vmas: readonly number[]
  readonly height: number
}

/** Walks the whole tree and throws at the first thing that is wrong: links, order, colours, gaps. */
export function rbValidate(root: number): RbShape {
  const vmas: number[] = []
  let height = 0
  const demand = (condition: boolean, what: string, node: number): void => {
    if (!condition) throw new Error(`rbtree: ${what} (VMA at page ${node === 0 ? 'none' : load(node + Vma.start)})`)
  }
  /** Returns how many black nodes are on each path down from `node`, and the largest gap of its subtree. */
  const validate = (node: number, parent: number, parentIsRed: boolean, depth: number): [black: number, gap: number] => {
    if (node === 0) return [0, 0]
    demand(depth <= 64, 'too high, or goes in a circle', node)
    height = Math.max(height, depth)
    const link = load(node + Vma.rbParentColor)
    const red = (link & BLACK) === 0
    demand((link & ~BLACK) === parent, 'another parent', node)
    demand(!(red && parentIsRed), 'red below red', node)
    const [left, leftGap] = validate(load(node + Vma.rbLeft), node, red, depth + 1)
    const before = vmas.at(-1)
    const behind = before === undefined ? 0 : load(before + Vma.end)
    const start = load(node + Vma.start)
    demand(start >= behind && start < load(node + Vma.end), 'out of order', node)
    demand(load(node + Vma.gap) === start - behind, `the gap is ${start - behind}, not ${load(node + Vma.gap)}`, node)
    vmas.push(node)
    const [right, rightGap] = validate(load(node + Vma.rbRight), node, red, depth + 1)
    demand(left === right, `${left} black nodes on the left, ${right} on the right`, node)
    const gap = Math.max(start - behind, leftGap, rightGap)
    demand(load(node + Vma.subtreeGap) === gap, `the gap below is ${gap}, not ${load(node + Vma.subtreeGap)}`, node)
    return [left + (red ? 0 : 1), gap]
  }
  const top = load(root)
  demand(top === 0 || (load(top + Vma.rbParentColor) & BLACK) !== 0, 'the top is red', top)
  validate(top, 0, true, 1)
  demand(height <= 2 * Math.log2(vmas.length + 1), `${height} high with ${vmas.length} VMAs`, top)
  return { vmas, height }
}
