// What lies where in memory during a recording: which words are whose frame, slab object or page table, and of which level.
// Found from the memory at the beginning (page flags, free lists, a walk of the page tables), and from what happened since.
import { Op } from '../../compile/stepped/ops.ts'
import { Kind } from '../../kernel/machine/annotations.ts'
import { POISON } from '../../kernel/memory/page-alloc.ts'
import type { Layouts } from './layouts.ts'
import type { RecordedEvent, Recording } from './recording.ts'
import { type SlabPage, slabPages } from './slabs.ts'

/** What an address lies in. */
export interface Thing {
  /** `vma`, `pte table`, `page` (a struct page), `frame` (its contents), `cpu`, `global`; '' for none of these. */
  readonly kind: string
  /** First word of it. */
  readonly base: number
  readonly words: number
  /** Counts the lives of the object at this place during the recording. 0: it was there from the beginning. */
  readonly life: number
  /** CPU or frame number; slab cache; else 0. */
  readonly number: number
}

/** Answers what lies where. */
export interface Atlas {
  /** What `address` lay in when event `index` happened. */
  at(address: number, index: number): Thing
  /** The event that allocated a thing, or null if it was there from the beginning. */
  origin(thing: Thing): RecordedEvent | null
  /** Whether the frame of a struct page held page tables at that moment. */
  isTablePage(pfn: number, index: number): boolean
}

const NOTHING: Thing = Object.freeze({ kind: '', base: 0, words: 0, life: 0, number: 0 })

interface Dated<T> {
  readonly from: number
  readonly value: T
}

/** Makes the atlas of a recording. */
export function createAtlas(recording: Recording, layouts: Layouts): Atlas {
  const { events, memory, machine } = recording
  const { arch, upper, global, page: Page } = layouts
  const word = (p: number): number => memory[p] as number
  const pages = word(global.pages as number)
  const frames = word(global.frames as number)
  const nrFrames = frames === 0 ? 0 : word(global.nrFrames as number)
  const { PAGE_WORDS, ENTRY_WORDS } = arch
  const pfnOf = (p: number): number => (p >= frames && p < frames + nrFrames * PAGE_WORDS ? Math.floor((p - frames) / PAGE_WORDS) : -1)
  const caches = slabPages(recording, layouts, pfnOf)
  const allocations = new Map<number, RecordedEvent[]>()
  for (const event of events) {
    if (event.op !== Op.allocated) continue
    const list = allocations.get(event.a)
    if (list === undefined) allocations.set(event.a, [event])
    else list.push(event)
  }
  const life = (base: number, index: number): number => {
    let lives = 0
    for (const event of allocations.get(base) ?? []) if (event.index <= index) lives++
    return lives
  }

  // Levels of tables, as links show them.
  const levels = new Map<number, Dated<number>[]>()
  const below = tableLevels(layouts)
  const learn = (table: number, from: number, level: number): void => {
    const known = levels.get(table)
    if (known === undefined) levels.set(table, [{ from, value: level }])
    else if (known[known.length - 1]?.value !== level) known.push({ from, value: level })
    else return
    const length = entriesOf(arch, level) * ENTRY_WORDS
    if (from >= 0 || below[level] === undefined || pfnOf(table) < 0) return
    for (let slot = table; slot < table + length; slot += ENTRY_WORDS) {
      const entry = word(slot) | word(slot + 1)
      if (upper.upperIsTable(entry) && pfnOf(upper.upperTable(entry)) >= 0) learn(upper.upperTable(entry), from, below[level] as number)
    }
  }
  const levelAt = (table: number, index: number): number => {
    const known = levels.get(table)
    if (known === undefined) return 0
    let found = known[0] as Dated<number>
    for (const one of known) if (one.from <= index) found = one
    return found.value
  }
  const isTablePage = (pfn: number, index: number): boolean => {
    let table = nrFrames > 0 && (word(pages + pfn * Page.size + (Page.flags as number)) & (layouts.pageFlag.table as number)) !== 0
    for (const event of allocations.get(frames + pfn * PAGE_WORDS) ?? []) if (event.index <= index) table = event.c === Kind.table
    return table
  }
  const tableAt = (address: number, pfn: number, index: number): Thing => {
    const start = frames + pfn * PAGE_WORDS
    const fragment = arch.PTE_FRAGMENTS > 1
    const base = fragment ? start + Math.floor((address - start) / arch.PTE_TABLE_WORDS) * arch.PTE_TABLE_WORDS : start
    const kind = `${LEVEL_NAMES[levelAt(base, index)] || 'page'} table`
    return { kind, base, words: fragment ? arch.PTE_TABLE_WORDS : PAGE_WORDS, life: life(start, index), number: 0 }
  }
  const at = (address: number, index: number): Thing => {
    const areas = machine.areas
    if (address >= areas && address < areas + machine.cpus * layouts.cpuStride) {
      const cpu = Math.floor((address - areas) / layouts.cpuStride)
      return { kind: 'cpu', base: areas + cpu * layouts.cpuStride, words: layouts.cpuStride, life: 0, number: cpu }
    }
    if (address >= 16 && address < 16 + (global.size as number)) return { ...NOTHING, kind: 'global' }
    if (nrFrames > 0 && address >= pages && address < pages + nrFrames * Page.size) {
      const pfn = Math.floor((address - pages) / Page.size)
      return { kind: 'page', base: pages + pfn * Page.size, words: Page.size, life: 0, number: pfn }
    }
    const pfn = pfnOf(address)
    if (pfn < 0) return NOTHING
    const slab = caches.get(pfn)
    const grown = slab === undefined ? undefined : allocations.get(slab.start)?.[0]
    if (slab !== undefined && (grown === undefined || index > grown.index)) {
      const { cache, start, step, header } = slab
      const base = start + Math.floor((address - start) / step) * step + header
      const kind = layouts.caches[cache]?.kind ?? 'object'
      return { kind, base, words: step - header, life: life(base, index), number: cache }
    }
    if (isTablePage(pfn, index)) return tableAt(address, pfn, index)
    const base = frames + pfn * PAGE_WORDS
    return { kind: 'frame', base, words: PAGE_WORDS, life: 0, number: pfn }
  }

  if (nrFrames > 0) {
    for (const mm of addressSpaces(recording, layouts, caches)) {
      const pgd = word(mm + pgdOffset(layouts))
      if (pgd !== POISON && pfnOf(pgd) >= 0) learn(pgd, -1, PGD)
    }
    // A link shows the level of the table that it names. Of one of two halves, the high one is there first.
    const highs = new Map<number, number>()
    for (const event of events) {
      const isHigh = arch.ENTRY_READ !== 0 && (event.a & 1) !== 0
      if (isHigh && event.kind === 'step' && event.after !== event.before) highs.set(event.a - 1, event.after)
      const entry = arch.ENTRY_READ === 0 ? event.after : event.after | (highs.get(event.a) ?? word(event.a + 1))
      if (event.kind !== 'step' || event.after === event.before || isHigh || !upper.upperIsTable(entry)) continue
      const target = upper.upperTable(entry)
      const pfn = pfnOf(event.a)
      if (pfn < 0 || pfnOf(target) < 0) continue
      const slot = at(event.a, event.index)
      const level = LEVEL_NAMES.indexOf(slot.kind.replace(/ table$/, ''))
      if (level > 0 && below[level] !== undefined) learn(target, event.index, below[level] as number)
    }
  }
  return {
    at,
    origin: ({ base, life: lives }) => (lives === 0 ? null : (allocations.get(base)?.[lives - 1] ?? null)),
    isTablePage,
  }
}

/** Names of table levels by number (as `Level` of the kernel counts them). */
const LEVEL_NAMES = ['', 'pte', 'pmd', 'pud', 'p4d', 'pgd']
const PGD = 5

function entriesOf(arch: Layouts['arch'], level: number): number {
  return [0, arch.PTRS_PER_PTE, arch.PTRS_PER_PMD, arch.PTRS_PER_PUD, arch.PTRS_PER_P4D, arch.PTRS_PER_PGD][level] as number
}

/** For each level that the architecture has the one below it; none below the tables of PTEs. */
function tableLevels({ arch }: Layouts): (number | undefined)[] {
  const present = [1, 2, 3, 4, 5].filter((level) => level === 1 || level === PGD || entriesOf(arch, level) > 1)
  const below: (number | undefined)[] = []
  for (let i = 1; i < present.length; i++) below[present[i] as number] = present[i - 1] as number
  return below
}

function pgdOffset({ caches }: Layouts): number {
  return caches[0]?.fields?.pgd as number
}

/** The address spaces at the beginning: those that CPUs use, and all others in the slab. */
function addressSpaces({ memory, machine }: Recording, layouts: Layouts, slabs: ReadonlyMap<number, SlabPage>): Set<number> {
  const spaces = new Set<number>()
  for (let i = 0; i < machine.cpus; i++) {
    const mm = memory[machine.areas + i * layouts.cpuStride + (layouts.cpu.currentMm as number)] as number
    if (mm > 0) spaces.add(mm)
  }
  for (const { cache, start, step, header } of slabs.values()) {
    if (cache !== 0) continue
    let run = layouts.arch.PAGE_WORDS
    while (run < step) run *= 2
    for (let object = start + header; object + step - header <= start + run; object += step) spaces.add(object)
  }
  return spaces
}
