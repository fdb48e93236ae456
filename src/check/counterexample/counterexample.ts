// A counterexample: a recording with names, the events that matter, and what it is a counterexample to. Reports print it.
import { Op } from '../../compile/stepped/ops.ts'
import type { Path } from '../explore/index.ts'
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
  /** For each CPU its calls, as a reader should see them: `munmap(0x7f000, 2 pages)`. */
  readonly calls: readonly (readonly string[])[]
}

/** A line of the story: an event, or a run of events of one agent that are left out. */
export type Line =
  | { readonly event: RecordedEvent; readonly folded: null }
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
  /** What is wrong, with objects called by their names. */
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
    message: names.text(violation?.message ?? failure, last),
    lines: fold(events, shown, moment < 0 ? events.length : moment + 1),
    moment,
    related: (violation?.related ?? []).map(({ text, agent, site, event }) => ({
      text: names.text(text, event < 0 ? last : eventIndex(events, event)),
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

/** The shown events, with what lies between two of them of one agent as one line, as far as it contains steps. */
function fold(events: readonly RecordedEvent[], shown: readonly number[], end: number): Line[] {
  const lines: Line[] = []
  const keep = new Set(shown)
  const open = new Map<number, { steps: number; first: RecordedEvent; last: RecordedEvent }>()
  const flush = (agent: number): void => {
    const run = open.get(agent)
    open.delete(agent)
    if (run !== undefined) lines.push({ event: null, folded: { agent, ...run } })
  }
  let agent = -1
  for (let i = 0; i < end; i++) {
    const event = events[i] as RecordedEvent
    if (event.agent !== agent) flush(agent)
    agent = event.agent
    if (keep.has(i)) {
      flush(agent)
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

/** Whether a step on a lock is what an annotation that is shown already says: the lock was taken, or let go. */
function isToldByNote(events: readonly RecordedEvent[], keep: ReadonlySet<number>, { index, agent, a }: RecordedEvent): boolean {
  let before = index - 1
  while (before >= 0 && (events[before] as RecordedEvent).agent !== agent) before--
  let after = index + 1
  while (after < events.length && (events[after] as RecordedEvent).agent !== agent) after++
  const says = (at: number, op: number): boolean => keep.has(at) && events[at]?.op === op && events[at]?.a === a
  return says(before, Op.lockReleased) || says(after, Op.lockAcquired)
}
