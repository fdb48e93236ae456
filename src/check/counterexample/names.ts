// Names for addresses and values of a recording, as a kernel developer would say them: `vma 1.refcnt`, `pmd table 2[511]`,
// `pfn 12 +w+d`. Objects are numbered by kind in the order in which names are asked for: equal questions, equal names.
import { Mode } from '../../kernel/machine/entry.ts'
import { POISON } from '../../kernel/memory/page-alloc.ts'
import { RcuFunc } from '../../kernel/sync/rcu-func.ts'
import { type Atlas, createAtlas, type Thing } from './atlas.ts'
import type { Layouts } from './layouts.ts'
import type { RecordedEvent, Recording } from './recording.ts'

/** Where a named object comes from. */
export interface Named {
  readonly name: string
  readonly kind: string
  /** First word, and how many. */
  readonly base: number
  readonly words: number
  /** The event that allocated it, or null if it was there from the beginning. */
  readonly origin: RecordedEvent | null
}

/** Names of one recording. */
export interface Names {
  /** The name of word `address` at the time of event `index`: the field of the object that it lies in. */
  address(address: number, index: number): string
  /** The name of the object that `address` lies in (`vma 1`, `page 12`, `cpu 0`), or of the word alone. */
  object(address: number, index: number): string
  /** A value of the word `address`. */
  value(address: number, value: number, index: number): string
  /** What `address` lies in. */
  thing(address: number, index: number): Thing
  /** The frame that word `p` lies in. */
  frame(p: number): number
  /** The word that counts the references to frame `pfn`. */
  reference(pfn: number): number
  /** `text` with addresses (`0x4c40`, `word 19520`) as names. */
  text(text: string, index: number): string
  /** A number that is nobody's word: small ones decimal, others hexadecimal. */
  number(value: number): string
  /** All objects named so far, in order. */
  named(): readonly Named[]
}

/** Words that a scenario gives names of its own: word → name. */
export type Labels = ReadonlyMap<number, string>

/** Fields that hold the address of something. */
const POINTERS = new Set(
  (
    'mm file anonVma anonVmaChain next prev head tail pgd pteFragment root parent mapping ptMm inode disk pages slot ' +
    'currentMm pcpHead rcuNextHead rcuNextTail rcuWaitHead slabHead gatherMm gatherPages gatherBatch gatherTables entries ' +
    'waitNext vmgMm vmgFile vmgAnonVma vmgSource masTree masNode masSpare out0 out1 out2 free freeHeads frame ' +
    'perCpuAreas frames rcuSnapshots pageCacheBuckets rcuHead rbLeft rbRight node'
  ).split(' '),
)
/** Fields that hold virtual page numbers or sets of bits. */
const HEX = new Set(
  'start end flags pgoff min max pivot brk startBrk mmapBase gatherStart gatherEnd flushStart flushEnd read write exec'.split(' '),
)
/** What a design may note: the kinds of object that a fault meets. */
const SLAB_OBJECTS = new Set(['mm', 'vma', 'anon_vma', 'file'])
const MODES: Readonly<Record<number, string>> = { [Mode.outside]: 'outside', [Mode.user]: 'user', [Mode.kernel]: 'kernel' }
/** The callbacks of `call_rcu` and `call_srcu`, by number. */
const CALLBACKS: ReadonlyMap<number, string> = new Map(Object.entries(RcuFunc).map(([name, number]) => [number, name]))
const BIT30 = 1 << 30
const BIT29 = 1 << 29

/** The names of a recording of the kernel with `layouts`. */
export function createNames(recording: Recording, layouts: Layouts, labels: Labels = new Map()): Names {
  const atlas = createAtlas(recording, layouts)
  const numbers = new Map<string, string>()
  const counts = new Map<string, number>()
  const named: Named[] = []
  const object = (address: number, index: number): string => {
    const label = labels.get(address)
    if (label !== undefined) return label
    const thing = atlas.at(address, index)
    if (thing.kind === '') return `word 0x${address.toString(16)}`
    if (thing.kind === 'global') return 'global'
    const key = `${thing.kind} ${thing.base} ${thing.life}`
    let name = numbers.get(key)
    if (name === undefined) {
      const count = (counts.get(thing.kind) ?? 0) + 1
      counts.set(thing.kind, count)
      const fixed = thing.kind === 'cpu' || thing.kind === 'page' || thing.kind === 'frame'
      name = `${thing.kind} ${fixed ? thing.number : count}`
      numbers.set(key, name)
      if (thing.kind !== 'cpu') named.push({ name, kind: thing.kind, base: thing.base, words: thing.words, origin: atlas.origin(thing) })
    }
    return name
  }
  const address = (p: number, index: number): string => {
    const label = labels.get(p)
    if (label !== undefined) return label
    const thing = atlas.at(p, index)
    const name = object(p, index)
    const field = fieldOf(layouts, atlas, thing, p, index)
    if (thing.kind === 'global') return field
    if (thing.kind === '' || field === '') return name
    return field.startsWith('[') ? `${name}${field}` : `${name}.${field}`
  }
  const pointer = (value: number, index: number): string => {
    const thing = atlas.at(value, index)
    if (thing.kind === '' || thing.kind === 'global') return ''
    if (thing.base === value) return object(value, index)
    if (thing.kind === 'cpu') return '' // a number that happens to lie there
    if (thing.kind === 'maple node') {
      const low = value & 15
      return value - low === thing.base ? `${object(thing.base, index)}${low === 1 ? ' (leaf)' : `, slot ${low}`}` : ''
    }
    if (thing.kind === 'anon_vma') return value - 1 === thing.base ? object(thing.base, index) : address(value, index)
    return address(value, index)
  }
  const value = (p: number, v: number, index: number): string => {
    const thing = labels.has(p) ? { kind: '' } : atlas.at(p, index)
    // A program's own word: what it holds may be an address, of another such word or of an object.
    if (thing.kind === '' && v > 0) {
      const target = labels.get(v) ?? (atlas.at(v, index).base === v ? pointer(v, index) : '')
      if (target !== '') return target
      if (v >= 4096) return v === POISON ? 'poison' : hex(v)
    }
    if (thing.kind.endsWith(' table') && layouts.arch.ENTRY_READ !== 0 && v !== POISON) return half(layouts, p, v)
    if (thing.kind === 'pte table') return pte(layouts, v)
    if (thing.kind.endsWith(' table')) return upperEntry(layouts, v, (table) => object(table, index))
    const path = thing.kind === '' || thing.kind === 'frame' ? '' : fieldOf(layouts, atlas, thing as Thing, p, index)
    const field = path.replace(/\[.*?\]/g, '').replace(/^.*\./, '')
    if (v === POISON) return 'poison'
    if (path.endsWith('rcuHead.func') && CALLBACKS.has(v)) return CALLBACKS.get(v) as string
    if (field === 'context') return `${MODES[v & 3] ?? v & 3} #${v >>> 2}`
    if (thing.kind === 'page' && field === 'flags') return bits(layouts.pageFlag, v)
    if (POINTERS.has(field)) return v === 0 ? 'NULL' : pointer(v, index) || number(v)
    // A design's own words: what they hold may be the address of an object.
    if (field === 'design' && v > 0 && SLAB_OBJECTS.has(atlas.at(v, index).kind)) return pointer(v, index) || number(v)
    if (HEX.has(field)) return hex(v)
    if (field === 'rbParentColor') return `${v < 2 ? 'top' : pointer(v & ~1, index) || hex(v & ~1)}, ${(v & 1) !== 0 ? 'black' : 'red'}`
    if (field === 'refcnt' || path.endsWith('mmapLock.count')) return lockCount(v)
    return number(v)
  }
  const text = (from: string, index: number): string =>
    from
      // "word 3 of maple node 0x4c40": the field.
      .replace(/\b(0x[0-9a-f]+) \(word \d+ of [^()]*(?:\([^()]*\))?\)/gi, '$1')
      .replace(/\bword (\d+) of [^(),:;]*?\(?(0x[0-9a-f]+)\)?/gi, (_, offset: string, base: string) => {
        return address(Number.parseInt(base, 16) + Number(offset), index)
      })
      .replace(/\b(?:word )?0x([0-9a-f]+)\b|\bword (\d+)\b/gi, (whole, inHex?: string, decimal?: string) => {
        const p = inHex === undefined ? Number(decimal) : Number.parseInt(inHex, 16)
        if (!labels.has(p) && ['', 'global'].includes(atlas.at(p, index).kind) && !whole.startsWith('word')) return whole
        return atlas.at(p, index).base === p && !/^word/i.test(whole) ? object(p, index) : address(p, index)
      })
      // "table pte table 1": the detector's word for it, and ours.
      .replace(/\b(table|page|frame|vma|mm) ((?:\w+ )?\1 \d)/gi, '$2')
      .replace(/\b(\w+ \w+|\w+) (\1 \d+)/gi, '$2')
      .replace(/\block (\S*lock\b)/gi, '$1')
      .replace(/\bagent (\d+)\b/g, (_, agent: string) => agentName(recording, Number(agent)))
  const frame = (p: number): number =>
    Math.floor((p - (recording.memory[layouts.global.frames as number] as number)) / layouts.arch.PAGE_WORDS)
  const reference = (pfn: number): number =>
    (recording.memory[layouts.global.pages as number] as number) + pfn * layouts.page.size + (layouts.page.refcount as number)
  return { address, object, value, thing: atlas.at, reference, frame, text, number, named: () => named }
}

/** `CPU 0`, or `CPU 0 (interrupt)`. */
export function agentName({ machine }: Recording, agent: number): string {
  return agent < machine.cpus ? `CPU ${agent}` : `CPU ${agent - machine.cpus} (interrupt)`
}

function hex(v: number): string {
  return `0x${(v >>> 0).toString(16)}`
}

function number(v: number): string {
  return v > -4096 && v < 65536 ? String(v) : hex(v)
}

function bits(names: Readonly<Record<string, number>>, v: number): string {
  const set = Object.entries(names).filter(([, bit]) => (v & bit) !== 0)
  return set.length === 0 ? '0' : set.map(([name]) => name).join('|')
}

/** A count with a writer's mark in its upper bits. */
function lockCount(v: number): string {
  if (v < 0) return String(v)
  const marks = [...((v & BIT30) !== 0 ? ['writer'] : []), ...((v & BIT29) !== 0 ? ['waiters'] : [])]
  const low = v & ~(BIT30 | BIT29)
  return [...marks, ...(low !== 0 || marks.length === 0 ? [String(low)] : [])].join('+')
}

/** A half of an entry: the high one, or the low one with what it says of the page or table. */
function half({ upper }: Layouts, p: number, v: number): string {
  if ((p & 1) !== 0 || v === 0) return hex(v)
  return `${hex(v)}${(v & upper.Pte.present) !== 0 ? ' (present)' : ''}`
}

function pte({ arch, upper }: Layouts, v: number): string {
  if (v === arch.EMPTY_PTE) return 'none'
  if (v === POISON) return 'poison'
  const { Pte } = upper
  const flag = (bit: number, text: string): string => ((v & bit) !== 0 ? text : '')
  const flags = `${flag(Pte.write, '+w')}${flag(Pte.exec, '+x')}${flag(Pte.accessed, '+a')}${flag(Pte.dirty, '+d')}`
  return `pfn ${upper.ptePfn(v)}${(v & Pte.present) !== 0 ? '' : (v & Pte.protnone) !== 0 ? ' protnone' : ' not present'}${flags === '' ? '' : ` ${flags}`}`
}

function upperEntry({ upper }: Layouts, v: number, table: (p: number) => string): string {
  if (v === 0) return 'none'
  if (v === POISON) return 'poison'
  if (upper.upperIsTable(v)) return table(upper.upperTable(v))
  return (v & upper.Upper.leaf) !== 0 ? `pfn ${upper.ptePfn(v)} leaf` : hex(v)
}

/** The field at `p` inside of its object: `refcnt`, `mmapLock.count`, `pivot[3]`, `[511]`. */
function fieldOf(layouts: Layouts, atlas: Atlas, thing: Thing, p: number, index: number): string {
  const offset = p - thing.base
  if (thing.kind === 'global') return within(layouts, 'global', layouts.global, p)
  if (thing.kind === 'cpu') return within(layouts, 'cpu', layouts.cpu, offset)
  if (thing.kind === 'frame') return `[${offset}]`
  if (thing.kind === 'page') {
    const prefer = atlas.isTablePage(thing.number, index) ? ['rcuHead', 'ptMm', 'ptFragRefcount', 'ptl'] : []
    return within(layouts, 'page', layouts.page, offset, prefer)
  }
  if (offset < 0) return ['generation', 'freeLink', 'rcuHead.func', 'rcuHead.next'][-offset - 1] ?? `[${offset}]`
  if (thing.kind.endsWith(' table')) {
    const { ENTRY_WORDS, PTRS_PER_PTE } = layouts.arch
    const entry = Math.floor(offset / ENTRY_WORDS)
    if (thing.kind === 'pte table' && entry >= PTRS_PER_PTE) return `[hash ${entry - PTRS_PER_PTE}]`
    return offset % ENTRY_WORDS === 0 ? `[${entry}]` : `[${entry}].high`
  }
  const fields = layouts.caches[thing.number]?.fields
  if (fields == null) return `[${offset}]`
  if (thing.kind === 'mm' && offset >= (fields.rss as number)) {
    const kinds = ['anon', 'file', 'shmem', 'swap']
    const line = offset - (((fields.rss as number) + 15) & ~15)
    return `rss[cpu ${line >> 4}].${kinds[line & 15] ?? line & 15}`
  }
  return within(layouts, thing.kind, fields, offset)
}

function within(
  layouts: Layouts,
  kind: string,
  fields: Readonly<Record<string, number>>,
  offset: number,
  prefer: readonly string[] = [],
): string {
  let name = ''
  let start = -1
  let end = fields.size as number
  for (const [field, at] of Object.entries(fields)) {
    if (field === 'size') continue
    if (at <= offset && (at > start || (at === start && prefer.includes(field)))) {
      name = field
      start = at
    }
  }
  for (const [field, at] of Object.entries(fields)) if (field !== 'size' && at > start && at < end) end = at
  // A union's first member may be shorter than the field that was asked for: `rcuHead` over `next` and `prev`.
  const over = prefer.find((field) => {
    const inner = layouts.inner[`${kind}.${field}`]
    return inner !== undefined && offset >= (fields[field] as number) && offset < (fields[field] as number) + inner.size
  })
  if (over !== undefined)
    return `${over}.${within(layouts, over, layouts.inner[`${kind}.${over}`] as never, offset - (fields[over] as number))}`
  const inner = layouts.inner[`${kind}.${name}`]
  if (inner !== undefined) {
    const at = Math.floor((offset - start) / inner.size)
    const field = within(layouts, name, inner, (offset - start) % inner.size)
    return end - start > inner.size ? `${name}[${name === 'slabs' ? (layouts.caches[at]?.kind ?? at) : at}].${field}` : `${name}.${field}`
  }
  if (name === 'slabHead' || name === 'slabCount' || name === 'slabInUse')
    return `${name}[${layouts.caches[offset - start]?.kind ?? offset - start}]`
  return end - start > 1 ? `${name}[${offset - start}]` : name
}
