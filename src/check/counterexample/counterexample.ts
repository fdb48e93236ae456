// A counterexample: a recording with names, the events that matter, and what it is a counterexample to. Reports print it.
import { Op } from '../../compile/stepped/ops.ts'
import type { Path } from '../explore/index.ts'
import type { Violation } from '../violation.ts'
import type { Layouts } from './layouts.ts'
import type { Minimised } from './minimise.ts'
import { createNames, type Labels, type Names } from './names.ts'
import type { RecordedEvent, Recording } from './recording.ts'
import { relevantEvents } from './relevant.ts'

/** What was checked. */
export interface Facts {
  readonly scenario: string
  readonly design: string
  readonly arch: string
  /** How page tables are freed, or ''. */
  readonly freeing: string
  /** The VMA index, the flavour of RCU and how tables are allocated, where they are not the usual ones. */
  readonly index?: string
  readonly rcu?: string
  readonly tables?: string
  /** The calls that were made before, in order: the CPU, and what a reader should see. */
  readonly setUp?: readonly (readonly [cpu: number, text: string])[]
  /** For each CPU its calls, as a reader should see them: `munmap(0x7f000, 2 pages)`. */
  readonly calls: readonly (readonly string[])[]
}

/** A line of the story: an event, a run of events of one agent that are left out, or where the tear-down begins. */
export type Line =
  | { readonly event: RecordedEvent; readonly folded: null }
  | { readonly event: null; readonly folded: null; readonly heading: { readonly agent: number; readonly text: string } }
  | {
      readonly event: null
      readonly folded: { readonly agent: number; readonly steps: number; readonly first: RecordedEvent; readonly last: RecordedEvent }
    }

/** All that a report needs. */
export interface Counterexample {
  readonly facts: Facts
  readonly recording: Recording
  readonly names: Names
  readonly path: Path
  /** What is wrong, with objects called by their names; '' if nothing is. */
  readonly message: string
  readonly lines: readonly Line[]
  /** Index of the event that is the violation, or -1: the end of the execution. */
  readonly moment: number
  /** What had happened to the objects concerned, oldest first. */
  readonly related: readonly { readonly text: string; readonly agent: number; readonly site: number }[]
  readonly minimised: Minimised | null
}

/** How to make one. */
export interface CounterexampleOptions {
  readonly facts: Facts
  readonly recording: Recording
  readonly path: Path
  readonly layouts: Layouts
  readonly minimised?: Minimised | null
  /** Words that the scenario names itself. */
  readonly labels?: Labels
  /** Shows every step. */
  readonly all?: boolean
}

/** Puts a counterexample together. Equal recordings give equal counterexamples. */
export function counterexample({ facts, recording, path, layouts, minimised = null, labels, all }: CounterexampleOptions): Counterexample {
  const { events, failure, violation } = recording
  // Numbers count from the first line that is printed: relevance asks other names, which must not use them up.
  const { shown, moment } = relevantEvents(recording, createNames(recording, layouts, labels), all)
  const names = createNames(recording, layouts, labels)
  for (const index of shown) nameEvent(names, events[index] as RecordedEvent)
  const last = moment < 0 ? events.length - 1 : moment
  return {
    facts,
    recording,
    names,
    path,
    message: names.text(failure === '' ? '' : (violation?.message ?? failure), last),
    lines: fold(recording, shown, moment < 0 ? events.length : moment + 1, tearDownOf(recording, facts)),
    moment,
    related: relatedEvents(recording).map(({ text, agent, site, event }) => ({
      text: names.text(nameless(text, violation), event < 0 ? last : eventIndex(events, event)),
      agent,
      site,
    })),
    minimised,
  }
}

function eventIndex(events: readonly RecordedEvent[], told: number): number {
  return events.find((event) => event.told === told && event.op !== 0)?.index ?? events.length - 1
}

function nameEvent(names: Names, { kind, a, before, after, index, op }: RecordedEvent): void {
  if (op === 0 || kind === 'note') {
    if (a > 0 && kind === 'note') names.object(a, index)
    return
  }
  names.address(a, index)
  names.value(a, before, index)
  names.value(a, after, index)
}

/** `freed` with what was freed. */
function nameless(text: string, violation: Violation | null): string {
  const [object] = violation?.objects ?? []
  return object !== undefined && /^(freed|allocated)$/.test(text) ? `${text} 0x${object.toString(16)}` : text
}

/** What the violation says had happened before; of what was freed twice the first freeing, also where the detector does not tell. */
function relatedEvents({ violation, events, violatedAt }: Recording): Violation['related'] {
  const related = violation?.related ?? []
  const [object] = violation?.objects ?? []
  if (object === undefined || !/\bdouble|\btwice/.test(`${violation?.detector} ${violation?.message}`)) return related
  const end = violatedAt < 0 ? events.length : violatedAt
  const first = events.findLast(({ op, a, b, index }) => op === Op.freed && index < end && object >= a && object < a + b)
  if (first === undefined) return related
  const { agent, site, told } = first
  // The detector may have told of the second, which it had noted already.
  const others = related.filter(({ text, event }) => text !== 'freed' || (event >= 0 && event < told))
  return [...others, { text: `freed 0x${object.toString(16)} first`, agent, site, event: told }]
}

/** The shown events, with what lies between two of them of one agent as one line, as far as it contains steps. */
function fold({ events, machine }: Recording, shown: readonly number[], end: number, tearDown: number): Line[] {
  const lines: Line[] = []
  const keep = new Set(shown)
  const open = new Map<number, { steps: number; first: RecordedEvent; last: RecordedEvent }>()
  const flush = (agent: number): void => {
    const run = open.get(agent)
    open.delete(agent)
    if (run !== undefined) lines.push({ event: null, folded: { agent, ...run } })
  }
  const begun = new Set<number>()
  const torn = new Set<number>()
  let agent = -1
  for (let i = 0; i < end; i++) {
    const event = events[i] as RecordedEvent
    if (event.agent !== agent) flush(agent)
    agent = event.agent
    if (event.kind === 'call-begins' && begun.has(i)) continue
    if (i >= tearDown && event.kind !== 'plain' && !torn.has(agent)) {
      flush(agent)
      torn.add(agent)
      lines.push({ event: null, folded: null, heading: { agent, text: 'tear-down' } })
    }
    if (keep.has(i)) {
      flush(agent)
      // What a CPU does before its first step belongs to the call that it is in.
      const call = agent < machine.cpus && event.op !== 0 ? callOf(events, i) : -1
      if (call > i && call < end && !begun.has(call)) {
        begun.add(call)
        lines.push({ event: events[call] as RecordedEvent, folded: null })
      }
      lines.push({ event, folded: null })
    } else if (event.kind === 'step' && !isToldByNote(events, keep, event)) {
      const run = open.get(agent)
      if (run === undefined) open.set(agent, { steps: 1, first: event, last: event })
      else {
        run.steps++
        run.last = event
      }
    }
  }
  flush(agent)
  return lines
}

/** Index of the `call-begins` that event `index` of a task belongs to: before it, or, until the call's first step, behind it. */
function callOf(events: readonly RecordedEvent[], index: number): number {
  const { agent } = events[index] as RecordedEvent
  const before = events.findLast((one) => one.index < index && one.agent === agent && one.kind.startsWith('call'))
  if (before?.kind === 'call-begins') return before.index
  return events.find((one) => one.index > index && one.agent === agent && one.kind.startsWith('call'))?.index ?? -1
}

/** Index of the first event behind the return of the last call, if all have returned; else none. */
function tearDownOf({ events }: Recording, { calls }: Facts): number {
  const returns = events.filter(({ kind }) => kind === 'call-returns')
  const all = calls.reduce((total, list) => total + list.length, 0)
  return all > 0 && returns.length === all ? (returns[all - 1] as RecordedEvent).index + 1 : Number.POSITIVE_INFINITY
}

/** Whether a step on a lock is what an annotation that is shown already says: the lock was taken, or let go. */
function isToldByNote(events: readonly RecordedEvent[], keep: ReadonlySet<number>, { index, agent, a }: RecordedEvent): boolean {
  let before = index - 1
  while (before >= 0 && (events[before] as RecordedEvent).agent !== agent) before--
  let after = index + 1
  while (after < events.length && (events[after] as RecordedEvent).agent !== agent) after++
  const says = (at: number, op: number): boolean => keep.has(at) && events[at]?.op === op && events[at]?.a === a
  return says(before, Op.lockReleased) || says(after, Op.lockAcquired)
}
