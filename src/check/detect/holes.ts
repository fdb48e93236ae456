// Holes: a reader of mappings (/proc maps, smaps) must show each page that was mapped before it began and still is after it
// has returned, unless a call that ran meanwhile may have taken the page away and brought it back.
import { Pte, ptePresent } from '../../kernel/pagetable/entries.ts'
import { mappingsOf, pteOf } from './address-space.ts'
import { type CallDescription, type CallRecord, type Calls, unmapsFrom } from './calls.ts'
import { addFact, type Detector, hex, mix, type Scene } from './scene.ts'

type Range = readonly [number, number]

/** The parts of `ranges` that lie in `other`. */
function common(ranges: readonly Range[], other: readonly Range[]): Range[] {
  return ranges.flatMap(([from, to]) =>
    other.flatMap(([a, b]): Range[] => (a < to && b > from ? [[Math.max(a, from), Math.min(b, to)]] : [])),
  )
}

/** The parts of `ranges` that do not lie in `other`. */
function less(ranges: readonly Range[], other: readonly Range[]): Range[] {
  return other.reduce<Range[]>(
    (left, [a, b]) =>
      left.flatMap(([from, to]): Range[] => {
        if (a >= to || b <= from) return [[from, to]]
        return [...(a > from ? [[from, a] as const] : []), ...(b < to ? [[b, to] as const] : [])]
      }),
    [...ranges],
  )
}

/** Watches calls whose description says what they showed. */
export function detectHoles(scene: Scene, calls: Calls): Detector {
  const before = new Map<CallRecord, Range[]>()
  const mapped = ({ mm, start, pages, shows }: CallDescription): Range[] => {
    if (shows !== 'pages') return mappingsOf(scene.words, mm).map(({ start: from, end }) => [from, end])
    return Array.from({ length: pages }, (_, i) => start + i).flatMap((vpn): Range[] => {
      const pte = pteOf(scene.words, mm, vpn)
      return ptePresent(pte) && (pte & Pte.special) === 0 ? [[vpn, vpn + 1]] : []
    })
  }
  /** A page that is copied or dropped is absent for a moment. */
  const excuses = (description: CallDescription, shows: CallDescription['shows'], from: number, to: number): boolean => {
    if (unmapsFrom(description, from, to)) return true
    const { name, start, pages } = description
    return shows === 'pages' && (name === 'madvise' || name === 'write') && start < to && start + pages > from
  }
  return {
    reset: () => before.clear(),
    save: () => {
      const kept = [...before]
      return () => {
        before.clear()
        for (const [record, ranges] of kept) before.set(record, ranges)
      }
    },
    callBegins: (cpu, call) => {
      const record = calls.of(cpu, call)
      if (record?.description.shown !== undefined) before.set(record, mapped(record.description))
    },
    callReturns: (cpu, call, result) => {
      const record = calls.of(cpu, call)
      if (record === null || record.description.shown === undefined) return
      const { mm, name, start, pages, shown, shows } = record.description
      let must = common(before.get(record) ?? [], mapped(record.description))
      if (pages > 0) must = common(must, [[start, start + pages]])
      for (const [from, to] of must) {
        // Whoever unmaps at the same time excuses what it touches.
        const touched = calls.records
          .filter(
            (other) =>
              other !== record && other.description.mm === mm && other.began >= 0 && (other.returned < 0 || other.returned > record.began),
          )
          .filter((other) => excuses(other.description, shows, from, to))
          .map(
            ({ description: d }): Range =>
              d.name === 'munmap' || d.name === 'madvise' || d.name === 'write' || (d.name === 'mmap' && d.placement !== 0)
                ? [d.start, d.start + d.pages]
                : [0, 0x7fffffff],
          )
        const hole = less(less([[from, to]], touched), shown(result, scene.words))[0]
        if (hole === undefined) continue
        scene.report({
          detector: 'hole',
          bookkeeping: false,
          message: `${name} by CPU ${cpu} shows nothing at pages ${hex(hole[0])} to ${hex(hole[1])}, which were mapped before it began and still are`,
          agent: cpu,
          objects: [],
          related: [],
        })
      }
    },
    digest: (into) => {
      for (const [{ cpu, returned }, ranges] of before) {
        if (returned < 0) for (const [from, to] of ranges) addFact(into, 0x401e + cpu, mix(from, to))
      }
    },
  }
}
