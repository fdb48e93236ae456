// Reads an address space out of the machine's words: its mappings from their index, its entries from the page tables. For
// moments at which nobody changes them, or for a look at a single entry. No step, no lock: this is the checker looking.
import { type Arch, ENTRY_WORDS, type Geometry, geometryOf } from '../../kernel/arch/arch.ts'
import { architectures } from '../../kernel/arch/architectures.ts'
import { WINDOW_PAGES, WINDOW_SHIFT } from '../../kernel/arch/windows.ts'
import { VmaIndex } from '../../kernel/machine/axes.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { Mm } from '../../kernel/memory/mm.ts'
import { upperIsTable, upperTable } from '../../kernel/pagetable/entries.ts'
import { MAPLE_LEAF, MapleNode, MapleTree, mteToNode } from '../../kernel/vma/maple-tree.ts'
import { RbRoot } from '../../kernel/vma/rbtree.ts'
import { Vma } from '../../kernel/vma/vma.ts'

/** A mapping: pages `start` to `end` (exclusive), VMA flags. */
export interface Mapping {
  readonly start: number
  readonly end: number
  readonly flags: number
  readonly pgoff: number
  readonly file: number
  readonly vma: number
}

/** The architecture of the machine in `words`. */
export function archOf(words: Int32Array): Arch {
  return architectures[words[Global.archId] as number] as Arch
}

/** The sizes of the machine in `words`. */
export function sizesOf(words: Int32Array): Geometry {
  return geometryOf(archOf(words), words[Global.geometryId] as number)
}

/** The mappings of `mm` in order of address, with the bounds that a maple tree has for them (a VMA's own may be about to change). */
export function mappingsOf(words: Int32Array, mm: number): Mapping[] {
  const out: Mapping[] = []
  const found = (vma: number, start: number, end: number): void => {
    const at = (field: number): number => words[vma + field] as number
    out.push({ start, end, flags: at(Vma.flags), pgoff: at(Vma.pgoff), file: at(Vma.file), vma })
  }
  if (words[Global.indexId] === VmaIndex.rbtree) {
    // A broken kernel may have tied a tree into a knot.
    const seen = new Set<number>()
    const below = (vma: number): void => {
      if (vma <= 0 || vma >= words.length || seen.has(vma)) return
      seen.add(vma)
      below(words[vma + Vma.rbLeft] as number)
      found(vma, words[vma + Vma.start] as number, words[vma + Vma.end] as number)
      below(words[vma + Vma.rbRight] as number)
    }
    below(words[mm + Mm.tree + RbRoot.node] as number)
    return out
  }
  const node = (link: number): void => {
    const p = mteToNode(link)
    const count = words[p + MapleNode.end] as number
    let start = words[p + MapleNode.min] as number
    for (let i = 0; i <= count; i++) {
      const slot = words[p + MapleNode.slot + i] as number
      const end = (words[p + MapleNode.pivot + i] as number) + 1
      if ((link & MAPLE_LEAF) === 0) node(slot)
      else if (slot !== 0) found(slot, start, end)
      start = end
    }
  }
  const root = words[mm + Mm.tree + MapleTree.root] as number
  if (root !== 0) node(root)
  return out
}

/** log2 of the pages that one entry of each level covers, PTE first. */
function shifts({ levelBits }: Geometry): number[] {
  let shift = 0
  return levelBits.map((bits) => {
    const own = shift
    shift += bits
    return own
  })
}

/** The entry in the slot at `p`: both halves, of which the high one is 0 where entries are one word. */
function entryOf(words: Int32Array, p: number): number {
  return (words[p] as number) | (words[p + 1] as number)
}

/** Calls `visit` for each present table (its level, 0 for a PTE table, and first word) and each entry that is not none. */
export function walkTables(
  words: Int32Array,
  mm: number,
  visitTable: (level: number, table: number) => void,
  visitEntry: (realPage: number, pte: number) => void,
): void {
  const { levelBits } = sizesOf(words)
  const empty = archOf(words).emptyPte ?? 0
  const shift = shifts(sizesOf(words))
  const walk = (level: number, table: number, base: number): void => {
    visitTable(level, table)
    const entries = 1 << (levelBits[level] as number)
    for (let i = 0; i < entries; i++) {
      const entry = entryOf(words, table + i * ENTRY_WORDS)
      if (entry === (level === 0 ? empty : 0)) continue
      const at = base + i * 2 ** (shift[level] as number)
      if (level === 0) visitEntry(at, entry)
      else if (upperIsTable(entry)) walk(level - 1, upperTable(entry), at)
    }
  }
  walk(levelBits.length - 1, words[mm + Mm.pgd] as number, 0)
}

/** The real page number of page `vpn` (see `arch/windows.ts`). */
export function realPage(words: Int32Array, vpn: number): number {
  return (words[Global.windows + (vpn >>> WINDOW_SHIFT)] as number) * WINDOW_PAGES + (vpn & (WINDOW_PAGES - 1))
}

/** The PTE of page `vpn` of `mm`, 0 where there is none. */
export function pteOf(words: Int32Array, mm: number, vpn: number): number {
  const { levelBits } = sizesOf(words)
  const shift = shifts(sizesOf(words))
  const page = realPage(words, vpn)
  let table = words[mm + Mm.pgd] as number
  for (let level = levelBits.length - 1; level > 0; level--) {
    const index = Math.floor(page / 2 ** (shift[level] as number)) % (1 << (levelBits[level] as number))
    const entry = entryOf(words, table + index * ENTRY_WORDS)
    if (!upperIsTable(entry)) return 0
    table = upperTable(entry)
  }
  const pte = entryOf(words, table + (page % (1 << (levelBits[0] as number))) * ENTRY_WORDS)
  return pte === (archOf(words).emptyPte ?? 0) ? 0 : pte
}
