// Which frames slab caches were cut from: known by the free objects in them, and where there are none by what points to them.
import { Op } from '../../compile/stepped/ops.ts'
import { Kind } from '../../kernel/machine/annotations.ts'
import { VmaIndex } from '../../kernel/machine/axes.ts'
import type { Layouts } from './layouts.ts'
import type { Recording } from './recording.ts'

/** A run of frames that a slab cache cut up. */
export interface SlabPage {
  readonly cache: number
  /** First word of the run, words from one object to the next, and in front of the first. */
  readonly start: number
  readonly step: number
  readonly header: number
}

/** The fields of each kind of object that point to others, and the kinds of those. */
const LINKS: Readonly<Record<string, Readonly<Record<string, string>>>> = Object.freeze({
  mm: { tree: 'maple node', pgd: 'pgd table' },
  vma: { mm: 'mm', file: 'file', anonVma: 'anon_vma', anonVmaChain: 'anon_vma_chain', rbLeft: 'vma', rbRight: 'vma' },
  anon_vma: { root: 'anon_vma', parent: 'anon_vma' },
  anon_vma_chain: { anonVma: 'anon_vma', next: 'anon_vma_chain' },
  file: { inode: 'inode' },
})
/** Low bits of a link to a maple node, and the one of them that says that it is a leaf. */
const NODE_TAG = 15
const LEAF = 1

/** The slab cache of each frame that has one, as far as memory shows it. */
export function slabPages(
  { events, memory, memoryAfter, machine }: Recording,
  layouts: Layouts,
  pfnOf: (p: number) => number,
): Map<number, SlabPage> {
  const { slabCache, global, cpu, arch, caches, page: Page } = layouts
  const found = new Map<number, SlabPage>()
  const cacheWord = (words: Int32Array, cache: number, field: string): number =>
    words[(global.slabs as number) + cache * slabCache.size + (slabCache[field] as number)] as number
  const framesPerRun = (step: number): number => {
    let run = arch.PAGE_WORDS
    while (run < step) run *= 2
    return run / arch.PAGE_WORDS
  }
  /** Notes that `object` belongs to `cache`. Returns whether it can, and is new. */
  const note = (words: Int32Array, cache: number, object: number): boolean => {
    const step = cacheWord(words, cache, 'objectWords')
    const header = cacheWord(words, cache, 'headerWords')
    const first = pfnOf(object - header)
    if (step <= 0 || first < 0) return false
    const frames = framesPerRun(step)
    const pfn = first - (first % frames)
    const start = object - header - ((object - header) % arch.PAGE_WORDS) - (first - pfn) * arch.PAGE_WORDS
    if ((object - header - start) % step !== 0) return false
    for (let i = 0; i < frames; i++) if (!found.has(pfn + i)) found.set(pfn + i, { cache, start, step, header })
    return found.get(pfn)?.cache === cache
  }
  for (const words of [memory, memoryAfter]) {
    for (let cache = 0; cache < caches.length; cache++) {
      if (cacheWord(words, cache, 'objectWords') <= 0) continue
      const heads = [cacheWord(words, cache, 'free')]
      for (let i = 0; i < machine.cpus; i++)
        heads.push(words[machine.areas + i * layouts.cpuStride + (cpu.slabHead as number) + cache] as number)
      for (const head of heads) {
        // A broken kernel may have tied a free list into a knot.
        for (let object = head, steps = 0; object > 2 && pfnOf(object) >= 0 && steps < 10_000; steps++) {
          note(words, cache, object)
          object = words[object - 2] as number
        }
      }
    }
  }
  const pages = memory[global.pages as number] as number
  const isSlab = (pfn: number): boolean =>
    pfn >= 0 && ((memory[pages + pfn * Page.size + (Page.flags as number)] as number) & (layouts.pageFlag.slab as number)) !== 0
  const seen = new Set<number>()
  const follow = (kind: string, object: number): void => {
    const cache = caches.findIndex((one) => one.kind === kind)
    if (seen.has(object) || cache < 0 || object <= 0 || !isSlab(pfnOf(object)) || !note(memory, cache, object)) return
    seen.add(object)
    const fields = caches[cache]?.fields
    if (fields == null) return
    for (const [field, to] of Object.entries(LINKS[kind] ?? {})) {
      const link = memory[object + (fields[field] as number)] as number
      if (to === 'maple node' && memory[global.indexId as number] === VmaIndex.rbtree) follow('vma', link)
      else if (to === 'maple node') node(link)
      else follow(to, to === 'anon_vma' ? link & ~LEAF : link)
    }
  }
  const node = (link: number): void => {
    const at = link & ~NODE_TAG
    const fields = caches.find((one) => one.kind === 'maple node')?.fields
    if (fields == null || link <= 0 || seen.has(at)) return
    follow('maple node', at)
    if (!seen.has(at)) return
    const end = memory[at + (fields.end as number)] as number
    for (let i = 0; i <= Math.min(end, 15); i++) {
      const below = memory[at + (fields.slot as number) + i] as number
      if ((link & LEAF) !== 0) follow('vma', below)
      else node(below)
    }
  }
  for (let i = 0; i < machine.cpus; i++) follow('mm', memory[machine.areas + i * layouts.cpuStride + (cpu.currentMm as number)] as number)
  rest(found, layouts, memory, isSlab, pfnOf, note)
  // Frames that a cache took during the execution, and whose objects are all in use at its end: known by the size of those.
  for (const { op, a, b, c } of events) {
    if (op !== Op.allocated || (c !== Kind.slab && c !== Kind.typesafeSlab) || found.has(pfnOf(a))) continue
    const sizes = caches.map((_, cache) => cacheWord(memoryAfter, cache, 'objectWords') - cacheWord(memoryAfter, cache, 'headerWords'))
    if (sizes.indexOf(b) === sizes.lastIndexOf(b)) note(memoryAfter, sizes.indexOf(b), a)
  }
  return found
}

/** Gives frames that nothing points to to the one cache that lacks frames, if there is only one such. */
function rest(
  found: ReadonlyMap<number, SlabPage>,
  { slabCache, global, caches, arch }: Layouts,
  memory: Int32Array,
  isSlab: (pfn: number) => boolean,
  pfnOf: (p: number) => number,
  note: (words: Int32Array, cache: number, object: number) => boolean,
): void {
  const frames = memory[global.frames as number] as number
  const nrFrames = frames === 0 ? 0 : (memory[global.nrFrames as number] as number)
  const word = (cache: number, field: string): number =>
    memory[(global.slabs as number) + cache * slabCache.size + (slabCache[field] as number)] as number
  const lacking = caches.flatMap((_, cache) => {
    let known = 0
    for (const [pfn, page] of found) if (page.cache === cache && isSlab(pfn)) known++
    return word(cache, 'pages') > known ? [cache] : []
  })
  if (lacking.length !== 1) return
  const cache = lacking[0] as number
  for (let pfn = 0; pfn < nrFrames; pfn++) {
    const start = frames + pfn * arch.PAGE_WORDS
    if (isSlab(pfn) && !found.has(pfnOf(start))) note(memory, cache, start + word(cache, 'headerWords'))
  }
}
