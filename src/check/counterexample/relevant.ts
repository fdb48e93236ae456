// Which events of a recording a reader needs: those that touch what the violation is about, those by which CPUs influence one
// another, what was allocated, freed and queued, and the locks and RCU sections around them. The rest is folded.
import { formatSite, UNKNOWN_SITE } from '../../compile/sites.ts'
import { Op } from '../../compile/stepped/ops.ts'
import { DESIGN_WORDS } from '../../kernel/machine/percpu.ts'
import { Mm } from '../../kernel/memory/mm.ts'
import { POISON } from '../../kernel/memory/page-alloc.ts'
import { PFN_SHIFT } from '../../kernel/pagetable/entries.ts'
import { Vma } from '../../kernel/vma/vma.ts'
import { RESUME } from '../explore/kernel-state.ts'
import { onEntry, onWord } from '../word-operation.ts'
import type { Names } from './names.ts'
import type { RecordedEvent, Recording } from './recording.ts'

/** The events to show. */
export interface Relevance {
  /** Indices of events, ascending. */
  readonly shown: readonly number[]
  /** Index of the event that is the violation, or -1 if it belongs to the end. */
  readonly moment: number
}

/** Chooses the events of a recording. `all`: every step and annotation. */
export function relevantEvents(recording: Recording, names: Names, all = false): Relevance {
  const { events } = recording
  const moment = momentOf(recording)
  const keep = new Set<number>()
  const end = moment < 0 ? events.length : moment + 1
  const objects = concernedObjects(recording, names)
  // Whoever does the damage is shown with all that it sees of the objects, others with what they do to them.
  const culprit = moment < 0 ? -1 : (events[moment] as RecordedEvent).agent
  for (let i = 0; i < end; i++) {
    const event = events[i] as RecordedEvent
    if (event.op === 0 || (all && event.kind !== 'plain')) keep.add(i)
    else if (touches(names, event, objects) && (changes(event) || culprit < 0 || event.agent === culprit)) keep.add(i)
  }
  for (const index of pointerLoads(recording, names, end, objects)) {
    if (culprit < 0 || recording.violation === null || (events[index] as RecordedEvent).agent === culprit) keep.add(index)
  }
  if (moment >= 0) keep.add(moment)
  for (const { event, agent, site } of recording.violation?.related ?? []) {
    const found = events.find((one) => (event >= 0 ? one.told === event && one.op !== 0 : one.agent === agent && one.site === site))
    if (found !== undefined && found.index < end) keep.add(found.index)
  }
  if (!all) {
    const locks = lockWords(events)
    for (const index of communications(recording, names, end, locks)) keep.add(index)
    keepSections(events, keep, end)
    for (const index of lastRound(recording)) keep.add(index)
  }
  return { shown: [...keep].filter((index) => index < end || (events[index] as RecordedEvent).op !== 0).sort((a, b) => a - b), moment }
}

/** The steps of the last turn of whoever goes round for ever: those that it repeats. */
function lastRound({ events, failure }: Recording): number[] {
  if (!/^livelock\b/.test(failure)) return []
  const steps = events.filter(({ kind }) => kind === 'step')
  const agents = / take turns /.test(failure) ? [...new Set(steps.map(({ agent }) => agent))] : [steps.at(-1)?.agent]
  return agents.flatMap((one) => lastRoundOf(steps.filter(({ agent }) => agent === one)))
}

function lastRoundOf(steps: readonly RecordedEvent[]): number[] {
  const from = (back: number): RecordedEvent => steps[steps.length - back] as RecordedEvent
  const same = (x: RecordedEvent, y: RecordedEvent): boolean => x.site === y.site && x.op === y.op && x.a === y.a
  let length = 1
  const repeats = (): boolean => {
    for (let i = 1; i <= length; i++) if (!same(from(i), from(i + length))) return false
    return true
  }
  while (length * 2 <= steps.length && !repeats()) length++
  // A round that comes only once in the path: from where its last place was before.
  if (length * 2 > steps.length) {
    const before = steps.findLastIndex((step, i) => i < steps.length - 1 && same(step, from(1)))
    length = before < 0 ? Math.min(steps.length, 10) : steps.length - 1 - before
  }
  return steps.slice(-length).map(({ index }) => index)
}

/** The event after which something was wrong; for a race of plain accesses, the second access. */
function momentOf({ events, failure, violatedAt, machine }: Recording): number {
  if (violatedAt >= 0) {
    // A thrown error or a judged result belongs to the last event of that agent that did something.
    return violatedAt
  }
  const word = Number(/\bword (\d+)\b/.exec(failure)?.[1] ?? -1)
  if (word < 0) return -1
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i] as RecordedEvent
    if (event.op !== 0 && covers(event, word) && failure.includes(formatSite(machine.tree.sites[event.site] ?? UNKNOWN_SITE))) return i
  }
  return -1
}

interface Range {
  /** The word that was named, somewhere in it. */
  readonly word: number
  readonly start: number
  readonly end: number
}

function concernedObjects({ violation, failure, events, waiting }: Recording, names: Names): Range[] {
  const last = events.length - 1
  const words = [...(violation?.objects ?? [])]
  // What somebody sleeps on for ever: who changed it, and who woke whom.
  for (const { op, word } of waiting) if (op === RESUME) words.push(word)
  const exact = violation === null
  if (exact) for (const [, word] of failure.matchAll(/\bword (\d+)\b/g)) words.push(Number(word))
  const ranges: Range[] = []
  for (const p of words) {
    const { base, words: length, kind, number } = names.thing(p, last)
    const whole = kind !== '' && kind !== 'cpu' && kind !== 'global' && kind !== 'page' && kind !== 'mm' && (base === p || kind === 'frame')
    ranges.push(whole ? { word: exact ? p : -1, start: base, end: base + length } : { word: p, start: p, end: p + 1 })
    // Who holds references to a frame decides when it is freed.
    if (kind === 'frame') {
      const count = names.reference(number)
      ranges.push({ word: count, start: count, end: count + 1 })
    }
  }
  return ranges
}

/** Whether an event touches one of the ranges: accesses it, allocates, frees or queues it, or finds or stores its address. */
function touches(names: Names, event: RecordedEvent, ranges: readonly Range[]): boolean {
  // Junk written into what is being freed, of which an annotation tells; stores that change nothing.
  if (event.op === Op.store && (event.after === POISON || event.after === event.before) && ranges.every(({ word }) => word !== event.a))
    return false
  for (const { start, end } of ranges) {
    if (event.kind === 'note') {
      if (event.op === Op.allocated || event.op === Op.freed) {
        if (event.a < end && event.a + event.b > start) return true
      } else if (event.op === Op.rcuQueued && event.a >= start - 4 && event.a < end) return true
    } else if (event.op === Op.zeroPage || event.op === Op.copyPage) {
      if (covers(event, start)) return true
    } else if (event.op === Op.futexWait || event.op === Op.futexWake) {
      if (event.a >= start && event.a < end) return true
    } else if (onWord(event.op) || onEntry(event.op) || event.op === Op.load || event.op === Op.store) {
      if (event.a >= start && event.a < end) return true
      // The word that points to it.
      if (
        event.kind === 'step' &&
        end - start > 1 &&
        (isLink(names, event, event.before, start) || isLink(names, event, event.after, start))
      )
        return true
    }
  }
  return false
}

/** Whether a table's slot at `a` with `value` points to what begins at `start`: the table below, or the frame that it maps. */
function isLink(names: Names, { a, index }: RecordedEvent, value: number, start: number): boolean {
  const slot = names.thing(a, index).kind
  if (!slot.endsWith('table')) return false
  const target = names.thing(start, index)
  if (slot !== 'pte table') return value >= start && value < start + 8
  return target.kind === 'frame' && value !== 0 && value >>> PFN_SHIFT === target.number
}

function pointsTo(names: Names, event: RecordedEvent, start: number): boolean {
  return (event.after === start && names.thing(event.a, event.index).kind !== 'frame') || isLink(names, event, event.after, start)
}

/** For each agent the load that gave it the address of an object, last before it first touched it. */
function pointerLoads({ events }: Recording, names: Names, end: number, ranges: readonly Range[]): number[] {
  const found: number[] = []
  for (const { start, end: behind } of ranges) {
    const latest = new Map<number, number>()
    const done = new Set<number>()
    for (let i = 0; i < end && behind - start > 1; i++) {
      const event = events[i] as RecordedEvent
      const { agent, kind, op, a } = event
      if (done.has(agent) || kind === 'note' || op === 0) continue
      if (a >= start && a < behind) {
        done.add(agent)
        if (latest.has(agent)) found.push(latest.get(agent) as number)
      } else if ((op === Op.load || onWord(op)) && pointsTo(names, event, start)) latest.set(agent, i)
    }
  }
  return found
}

function covers({ op, a, b, c }: RecordedEvent, word: number): boolean {
  if (op === Op.zeroPage) return word >= a && word < a + b
  if (op === Op.copyPage) return (word >= a && word < a + c) || (word >= b && word < b + c)
  return a === word
}

/** Words of locks that annotations tell of: their own accesses say nothing more. */
function lockWords(events: readonly RecordedEvent[]): ReadonlySet<number> {
  const words = new Set<number>()
  for (const { op, a } of events) if (op === Op.lockAcquired) words.add(a)
  return words
}

/**
 * Steps by which CPUs influence one another: an access to a word and the next one to it by another CPU, if either changes
 * the word. Words of locks and the machine's common counters are left out; of plain accesses all but those to words of designs.
 */
function communications({ events, machine }: Recording, names: Names, end: number, locks: ReadonlySet<number>): number[] {
  const latest = new Map<number, { write: RecordedEvent | null; reads: Map<number, RecordedEvent> }>()
  const found: number[] = []
  for (let i = 0; i < end; i++) {
    const event = events[i] as RecordedEvent
    const word = event.op === Op.sendIpi ? ipiWord(machine, event.a) : event.a
    const isStep = event.kind === 'step' && (onWord(event.op) || onEntry(event.op) || event.op === Op.sendIpi)
    // Plain accesses are many, and say little: but those to a design's own words are what it decides by.
    const isPlain = (event.op === Op.load || event.op === Op.store) && isDesignWord(machine, names, event)
    if ((!isStep && !isPlain) || locks.has(word) || isHousekeeping(names, event, word)) continue
    const seen = latest.get(word) ?? { write: null, reads: new Map<number, RecordedEvent>() }
    latest.set(word, seen)
    const { write, reads } = seen
    if (event.op === Op.sendIpi || changes(event)) {
      for (const other of [...reads.values(), ...(write === null ? [] : [write])])
        if (other.cpu !== event.cpu) found.push(other.index, event.index)
      latest.set(word, { write: event, reads: new Map() })
      continue
    }
    // The first look at another CPU's write, and the last one before the next.
    if (write !== null && write.cpu !== event.cpu && !reads.has(event.agent)) found.push(write.index, event.index)
    reads.set(event.agent, event)
  }
  return found
}

/** Whether an event leaves another value behind, or is told for what it does. */
function changes({ kind, op, before, after }: RecordedEvent): boolean {
  return kind === 'note' || op === Op.zeroPage || op === Op.copyPage || before !== after
}

function ipiWord({ areas, tree }: Recording['machine'], cpu: number): number {
  return areas + cpu * tree.percpu.CPU_STRIDE + tree.percpu.Cpu.ipiRequests
}

/** Whether an event is about a word that structures have for designs (see examples/my-design). */
function isDesignWord({ tree }: Recording['machine'], names: Names, { a, index }: RecordedEvent): boolean {
  const { kind, base } = names.thing(a, index)
  if (kind === 'mm') return a - base === Mm.mmLockSeq || a - base === Mm.writerWait
  if (kind === 'vma') return a - base === Vma.lockSeq || a - base === Vma.refcnt
  const { Cpu } = tree.percpu
  return kind === 'cpu' && a - base >= Cpu.design && a - base < Cpu.design + DESIGN_WORDS
}

/** Words that all CPUs touch whatever they do: the allocators' and RCU's own. */
function isHousekeeping(names: Names, { index }: RecordedEvent, word: number): boolean {
  const { kind } = names.thing(word, index)
  return kind === 'global' && /zone|slabs|freePages|freeHeads|rcuLock/.test(names.address(word, index))
}

/** The next event of the same agent. */
function nextOf(events: readonly RecordedEvent[], index: number): RecordedEvent | undefined {
  return events.find((event) => event.index > index && event.agent === events[index]?.agent)
}

/** Locks and RCU sections that lie around, or begin or end between, events that are shown. */
function keepSections(events: readonly RecordedEvent[], keep: Set<number>, end: number): void {
  const steps = [...keep].filter((index) => (events[index] as RecordedEvent).op !== 0)
  const around = (agent: number, from: number, to: number): boolean =>
    steps.some((index) => index > from && index < to && (events[index] as RecordedEvent).agent === agent)
  const open = new Map<string, number>()
  for (let i = 0; i < end; i++) {
    const { op, a, agent, rcu } = events[i] as RecordedEvent
    const key = op === Op.lockAcquired || op === Op.lockReleased ? `${agent} ${a}` : `${agent} rcu`
    const begins = op === Op.lockAcquired || (op === Op.rcuReadEnter && rcu === 1)
    // Taken again at once: a writer becomes a reader.
    const downgraded = op === Op.lockReleased && nextOf(events, i)?.op === Op.lockAcquired && nextOf(events, i)?.a === a
    const ends = (op === Op.lockReleased && !downgraded) || (op === Op.rcuReadExit && rcu === 0)
    if (begins && !open.has(key)) open.set(key, i)
    else if (ends) {
      const from = open.get(key)
      open.delete(key)
      if (from === undefined || !around(agent, from, i)) continue
      keep.add(from)
      keep.add(i)
    }
  }
  // Still held.
  for (const from of open.values()) keep.add(from)
}
