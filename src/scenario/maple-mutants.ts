// The classical mistakes of an RCU-safe tree, for the scenarios of the maple tree. Not a scenario itself.
import type { Variant } from './scenario.ts'

/** What the checker says of a reader in a node that was freed, or that was not finished. */
export const WRONG_NODE = /freed|poison|lost|never stored|race|not ordered|step|Error/

/** Mistakes that a reader beside a store that replaces one leaf shows. */
export const leafMutants: readonly Variant[] = [
  {
    name: 'freed-at-once',
    wrong: 'a node that was replaced is freed without waiting for its readers',
    edits: [
      {
        file: 'vma/maple-replace.ts',
        from: '  callRcu(node + MapleNode.rcuHead, RcuFunc.mapleNode)',
        to: '  kmemCacheFree(Cache.mapleNode, node)',
      },
      {
        file: 'vma/maple-replace.ts',
        from: "import { callRcu } from '../sync/rcu.ts'",
        to: "import { Cache, kmemCacheFree } from '../memory/slab.ts'",
      },
    ],
    unsafe: WRONG_NODE,
  },
  {
    name: 'published-before-filled',
    wrong: 'the new leaf is put into the tree before its slots are',
    edits: [
      {
        file: 'vma/maple-replace.ts',
        from: '  publishNode(tree, old, node, MAPLE_LEAF, longest)\n',
        to: '  masUpdateGap(node, longest)\n',
      },
      {
        file: 'vma/maple-replace.ts',
        from: '  store(node + MapleNode.min, before + 1)\n  for (let i = 0; i < keep; i++) {',
        to: '  store(node + MapleNode.min, before + 1)\n  store(node + MapleNode.max, load(old + MapleNode.max))\n  publishNode(tree, old, node, MAPLE_LEAF, longest)\n  for (let i = 0; i < keep; i++) {',
      },
    ],
    unsafe: WRONG_NODE,
  },
  {
    name: 'parent-after-publishing',
    wrong: 'the parent link of a new node is set when readers may be in it already',
    edits: [
      { file: 'vma/maple-replace.ts', from: '  store(node + MapleNode.parent, up)\n  if (up === 0) {', to: '  if (up === 0) {' },
      {
        file: 'vma/maple-replace.ts',
        from: '  if (mark !== 0) bury(old)',
        to: '  store(node + MapleNode.parent, up)\n  if (mark !== 0) bury(old)',
      },
    ],
    unsafe: WRONG_NODE,
  },
]

/** Mistakes that leave a reader in a node that is no longer part of the tree. */
export const deadMutants: readonly Variant[] = [
  {
    name: 'not-marked-dead',
    wrong: 'a node that was replaced is not marked dead',
    edits: [{ file: 'vma/maple-replace.ts', from: '  writeOnce(node + MapleNode.parent, node)\n', to: '' }],
    unsafe: /out of date/,
  },
  {
    name: 'no-dead-check',
    wrong: 'a reader does not look whether the node is dead',
    edits: [
      {
        file: 'vma/maple-tree.ts',
        from: 'return readOnce(node + MapleNode.parent) === node',
        to: 'return readOnce(node + MapleNode.parent) === -1',
      },
    ],
    unsafe: /out of date/,
  },
]
