// Map counts: how many entries a page says that map it, against the entries that there are; pages that are freed while entries, as
// they say, still map them ("bad page"); and anonymous pages that two entries map and one of them lets be written to, so that
// nothing would be copied on write.
import { Op } from '../../compile/stepped/ops.ts'
import { Kind } from '../../kernel/machine/annotations.ts'
import { PAGE_STRUCT_SHIFT, Page, PageFlag } from '../../kernel/memory/page.ts'
import { PAGE_MAPPING_ANON } from '../../kernel/memory/rmap.ts'
import { Pte, ptePfn, ptePresent } from '../../kernel/pagetable/entries.ts'
import { sizesOf, walkTables } from './address-space.ts'
import type { Calls } from './calls.ts'
import { agentName, type Detector, hex, place, type Scene } from './scene.ts'

/** `mapcount` of a page that nothing maps: it counts mappings less one. */
const UNMAPPED = -1
/** Frames that hold no data: their words in `struct page` mean something else. */
const NO_DATA = PageFlag.table | PageFlag.slab | PageFlag.reserved

/**
 * Compares the map count of every page with the entries of the address spaces that `spaces` names, when all calls have returned;
 * those that `calls` have forked belong to them, those that have exited do not.
 */
export function detectMapCounts(scene: Scene, calls: Calls, spaces: () => readonly number[]): Detector {
  const { words, pages, nrFrames } = scene
  const entries = new Int32Array(nrFrames)
  const writable = new Int32Array(nrFrames)
  const frameShift = nrFrames === 0 ? 0 : sizesOf(words).pageShift - 2
  const report = (message: string, pfn: number, agent: number): void =>
    scene.report({ detector: 'map-counts', bookkeeping: false, message, agent, objects: [structPage(pfn)], related: [] })
  const structPage = (pfn: number): number => pages + (pfn << PAGE_STRUCT_SHIFT)
  const field = (pfn: number, name: number): number => words[structPage(pfn) + name] as number
  const live = (): Set<number> => {
    const mms = new Set(spaces().filter((mm) => mm !== 0))
    const returned = calls.records.filter((record) => record.returned >= 0).sort((one, other) => one.returned - other.returned)
    for (const { description, result } of returned) {
      if (description.name === 'fork' && typeof result === 'number' && result > 0) mms.add(result)
      else if (description.name === 'exit') mms.delete(description.mm)
    }
    return mms
  }
  return {
    note: (agent, op, a, b, c, site) => {
      if (op !== Op.freed || c !== Kind.page) return
      const first = (a - scene.frames) >> frameShift
      for (let pfn = first; pfn < first + (b >> frameShift); pfn++) {
        if ((field(pfn, Page.flags) & NO_DATA) !== 0 || field(pfn, Page.mapcount) === UNMAPPED) continue
        const count = field(pfn, Page.mapcount) - UNMAPPED
        report(`bad page: frame ${pfn} is freed by ${agentName(scene, agent)} at ${place(scene, site)} with map count ${count}`, pfn, agent)
      }
    },
    finish: (blocked) => {
      if (blocked !== 0 || nrFrames === 0) return
      entries.fill(0)
      writable.fill(0)
      for (const mm of live()) {
        walkTables(
          words,
          mm,
          () => {},
          (_page, pte) => {
            if (!ptePresent(pte) || (pte & Pte.special) !== 0) return
            entries[ptePfn(pte)] = (entries[ptePfn(pte)] as number) + 1
            if ((pte & Pte.write) !== 0) writable[ptePfn(pte)] = (writable[ptePfn(pte)] as number) + 1
          },
        )
      }
      for (let pfn = 0; pfn < nrFrames; pfn++) {
        const found = entries[pfn] as number
        const refs = field(pfn, Page.refcount)
        if ((found === 0 && refs === 0) || (field(pfn, Page.flags) & NO_DATA) !== 0) continue
        const counted = field(pfn, Page.mapcount) - UNMAPPED
        if (counted !== found)
          report(`map count of frame ${pfn} (struct page ${hex(structPage(pfn))}) is ${counted}, ${found} entries map it`, pfn, -1)
        else if (found > 1 && writable[pfn] !== 0 && (field(pfn, Page.mapping) & PAGE_MAPPING_ANON) !== 0)
          report(`anonymous frame ${pfn} is mapped ${found} times, and writable: a write would not be copied`, pfn, -1)
        else if (refs < found) report(`reference count of frame ${pfn} is ${refs}, ${found} entries map it`, pfn, -1)
      }
    },
  }
}
