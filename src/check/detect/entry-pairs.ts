// The two-word entries of a machine: all slots of its page tables, where the architecture has entries of two halves.
import { EntryRead } from '../../kernel/arch/arch.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { Page, PageFlag } from '../../kernel/memory/page.ts'
import { archOf, sizesOf } from './address-space.ts'
import type { Pair } from './torn.ts'

/** Names for each word of a page table the entry of which it is a half; null where entries are whole, and for other words. */
export function entryPairs(words: Int32Array): (p: number) => Pair | null {
  if (archOf(words).entryRead === EntryRead.whole) return () => null
  const pages = words[Global.pages] as number
  const frames = words[Global.frames] as number
  const nrFrames = words[Global.nrFrames] as number
  const shift = sizesOf(words).pageShift - 2
  const pairs = new Map<number, Pair>()
  return (p) => {
    const pfn = (p - frames) >> shift
    if (p < frames || pfn >= nrFrames || ((words[pages + pfn * Page.size + Page.flags] as number) & PageFlag.table) === 0) return null
    const low = p & ~1
    let pair = pairs.get(low)
    if (pair === undefined) {
      pair = { low, high: low + 1 }
      pairs.set(low, pair)
    }
    return pair
  }
}
