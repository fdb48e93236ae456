// Wakeup trees (Abdulla, Aronis, Jonsson, Sagonas, POPL 2014): for each node of the exploration, an ordered tree of the
// continuations that must still be explored there. Nodes are numbers into typed arrays; freed ones are used again.
import { dependent, type Trace } from './trace.ts'

/** A forest. Node 0 is none. */
export interface WakeupTree {
  agent: Int32Array
  footprint: Int32Array
  firstChild: Int32Array
  nextSibling: Int32Array
  free: number
  used: number
}

/** An empty forest. */
export function createWakeupTree(): WakeupTree {
  const room = 1024
  return {
    agent: new Int32Array(room),
    footprint: new Int32Array(room),
    firstChild: new Int32Array(room),
    nextSibling: new Int32Array(room),
    free: 0,
    used: 1,
  }
}

/** A node without children. */
export function makeNode(tree: WakeupTree, agent: number, footprint: number): number {
  let node = tree.free
  if (node !== 0) tree.free = tree.nextSibling[node] as number
  else {
    node = tree.used++
    if (node === tree.agent.length) grow(tree)
  }
  tree.agent[node] = agent
  tree.footprint[node] = footprint
  tree.firstChild[node] = 0
  tree.nextSibling[node] = 0
  return node
}

function grow(tree: WakeupTree): void {
  const twice = (old: Int32Array): Int32Array => {
    const made = new Int32Array(old.length * 2)
    made.set(old)
    return made
  }
  tree.agent = twice(tree.agent)
  tree.footprint = twice(tree.footprint)
  tree.firstChild = twice(tree.firstChild)
  tree.nextSibling = twice(tree.nextSibling)
}

/** Makes `child` the last child of `parent`. */
export function addChild(tree: WakeupTree, parent: number, child: number): void {
  let last = tree.firstChild[parent] as number
  if (last === 0) {
    tree.firstChild[parent] = child
    return
  }
  while (tree.nextSibling[last] !== 0) last = tree.nextSibling[last] as number
  tree.nextSibling[last] = child
}

/** Removes the first child of `parent` and all below it. */
export function dropFirst(tree: WakeupTree, parent: number): void {
  const node = tree.firstChild[parent] as number
  tree.firstChild[parent] = tree.nextSibling[node] as number
  while (tree.firstChild[node] !== 0) dropFirst(tree, node)
  tree.nextSibling[node] = tree.free
  tree.free = node
}

/** A sequence of operations: agents and footprints. */
export interface Sequence {
  readonly agent: Int32Array
  readonly footprint: Int32Array
  length: number
}

/** How sure it is that an operation can come first in every continuation of a sequence. */
export const Initial = Object.freeze({
  no: 0,
  /** It is in the sequence and nothing before it there hinders it. */
  yes: 1,
  /** It is independent of all of the sequence; what comes later may still depend on it, or it on that. */
  weak: 2,
})

/** Whether `agent`, with `footprint` next, is an initial of `v`. */
export function initial(trace: Trace, agent: number, footprint: number, v: Sequence): number {
  for (let i = 0; i < v.length; i++) {
    if (v.agent[i] === agent) return Initial.yes
    if (dependent(trace, v.agent[i] as number, v.footprint[i] as number, agent, footprint)) return Initial.no
  }
  return Initial.weak
}

/**
 * Adds `v` below `parent` unless what is there covers it. Uses `v` up. Returns whether all continuations of `v` are now
 * covered, whatever they are; if not, a longer `v` must be tried once more of the execution is known.
 */
export function insert(tree: WakeupTree, parent: number, v: Sequence, trace: Trace): boolean {
  let node = parent
  let sure = true
  for (;;) {
    let child = tree.firstChild[node] as number
    let how: number = Initial.no
    while (child !== 0) {
      how = initial(trace, tree.agent[child] as number, tree.footprint[child] as number, v)
      if (how !== Initial.no) break
      child = tree.nextSibling[child] as number
    }
    if (child === 0) break
    if (how === Initial.weak) sure = false
    else remove(v, tree.agent[child] as number)
    if (v.length === 0 || tree.firstChild[child] === 0) return sure
    node = child
  }
  for (let i = 0; i < v.length; i++) {
    const made = makeNode(tree, v.agent[i] as number, v.footprint[i] as number)
    addChild(tree, node, made)
    node = made
  }
  return sure
}

/** Removes the first operation of `agent`, if there is one. */
function remove(v: Sequence, agent: number): void {
  for (let i = 0; i < v.length; i++) {
    if (v.agent[i] !== agent) continue
    v.agent.copyWithin(i, i + 1, v.length)
    v.footprint.copyWithin(i, i + 1, v.length)
    v.length--
    return
  }
}
