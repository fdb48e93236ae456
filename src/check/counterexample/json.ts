// A counterexample for machines. The shape is stable: fields are added, never renamed; `format` counts breaking changes.
import { formatSite, UNKNOWN_SITE } from '../../compile/sites.ts'
import { describeAccess, describeWait } from './access.ts'
import type { Counterexample } from './counterexample.ts'
import type { RecordedEvent } from './recording.ts'

/** One event as JSON. Values are numbers as the machine holds them; `text` is what a person reads. */
export interface EventJson {
  readonly index: number
  readonly kind: string
  readonly cpu: number
  readonly interrupt: boolean
  readonly call: number
  /** Step of the path that it belongs to, from 0; -1 before the first. */
  readonly step: number
  readonly operation: string
  readonly word: number
  readonly before: number
  readonly after: number
  readonly text: string
  readonly place: { readonly file: string; readonly line: number; readonly function: string }
  /** Whether the printed form shows it. */
  readonly shown: boolean
  readonly locks: readonly string[]
  readonly rcu: number
  readonly irqOff: number
}

/** A counterexample as JSON. */
export interface CounterexampleJson {
  readonly format: 1
  readonly scenario: string
  readonly design: string
  readonly arch: string
  readonly freeing: string
  /** Where they are not the usual ones. */
  readonly index?: string
  readonly rcu?: string
  readonly tables?: string
  readonly calls: readonly (readonly string[])[]
  readonly detector: string | null
  readonly bookkeeping: boolean
  readonly message: string
  /** `[agent, times, …]`; agent c is CPU c's task, agent `cpus + c` its interrupt handler. */
  readonly path: readonly number[]
  readonly cpus: number
  /** Index of the event that is the violation, or -1: the end of the execution. */
  readonly moment: number
  readonly related: readonly { readonly text: string; readonly agent: number; readonly place: string }[]
  /** Agents that cannot go on at the end. */
  readonly waiting: readonly { readonly agent: number; readonly text: string; readonly place: string }[]
  readonly objects: readonly { readonly name: string; readonly word: number; readonly words: number; readonly allocatedBy: string | null }[]
  readonly minimised: {
    readonly preemptions: readonly [before: number, after: number]
    readonly switches: readonly [before: number, after: number]
    readonly steps: readonly [before: number, after: number]
    readonly executions: number
    readonly complete: boolean
  } | null
  /** Calls, interrupts, steps and annotations in their order, and those plain accesses that the printed form shows. */
  readonly events: readonly EventJson[]
}

/** The JSON form of a counterexample. */
export function counterexampleJson(from: Counterexample): CounterexampleJson {
  const { facts, recording, names, path, message, moment, lines, related, minimised } = from
  const { events, machine, violation } = recording
  const shown = new Set(lines.flatMap(({ event }) => (event === null ? [] : [event.index])))
  const site = (number: number): string => formatSite(machine.tree.sites[number] ?? UNKNOWN_SITE)
  const eventJson = (event: RecordedEvent): EventJson => {
    const { file, line, function: name } = machine.tree.sites[event.site] ?? UNKNOWN_SITE
    return {
      index: event.index,
      kind: event.kind,
      cpu: event.cpu,
      interrupt: event.interrupt,
      call: event.call,
      step: event.step,
      operation: event.name,
      word: event.op === 0 ? 0 : event.a,
      before: event.before,
      after: event.after,
      text: describeAccess(event, names),
      place: { file, line, function: name },
      shown: shown.has(event.index),
      locks: event.locks.map(({ lock }) => names.address(lock, event.index)),
      rcu: event.rcu,
      irqOff: event.irqOff,
    }
  }
  const list = events.filter(({ index, kind }) => kind !== 'plain' || shown.has(index)).map(eventJson)
  return {
    format: 1,
    ...facts,
    detector: violation?.detector ?? null,
    bookkeeping: violation?.bookkeeping ?? false,
    message,
    path,
    cpus: machine.cpus,
    moment,
    related: related.map(({ text, agent, site: number }) => ({ text, agent, place: site(number) })),
    waiting: recording.waiting.map((wait) => ({
      agent: wait.agent,
      text: describeWait(wait, names, events.length - 1),
      place: site(wait.site),
    })),
    objects: names.named().map(({ name, base, words, origin }) => ({
      name,
      word: base,
      words,
      allocatedBy: origin === null ? null : `CPU ${origin.cpu}, ${site(origin.site)}`,
    })),
    minimised:
      minimised === null
        ? null
        : {
            preemptions: [minimised.before.preemptions, minimised.after.preemptions],
            switches: [minimised.before.switches, minimised.after.switches],
            steps: [minimised.before.steps, minimised.after.steps],
            executions: minimised.replays,
            complete: minimised.complete,
          },
    events: list,
  }
}
