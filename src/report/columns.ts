// A counterexample as kernel people write a race in a mail: a column for each CPU, time going down, a line for each step
// that matters, the moment at which it goes wrong marked, and below it who freed and queued what and who holds what.

import {
  type Counterexample,
  describeAccess,
  describeWait,
  type Line,
  lockName,
  type RecordedEvent,
} from '../check/counterexample/index.ts'
import { formatSite, UNKNOWN_SITE } from '../compile/sites.ts'
import { Mode } from '../kernel/machine/entry.ts'
import { type Palette, palette } from './table.ts'

/** How to print. */
export interface ColumnOptions {
  /** Characters of a line; 0 for as many as it takes. Default 80. */
  readonly width?: number
  /** Default: none. */
  readonly colours?: Palette
}

const GAP = 2
/** Narrowest column in which a step can be read. */
const NARROWEST = 24
const WIDE_COLUMN = 100

/** The lines of a counterexample. */
export function counterexampleColumns(from: Counterexample, options: ColumnOptions = {}): string[] {
  const { width = 80, colours = palette(false) } = options
  const limit = width === 0 ? Number.POSITIVE_INFINITY : width
  return [
    ...header(from, limit, colours),
    '',
    ...setUp(from, limit),
    ...story(from, limit, colours),
    '',
    ...holdings(from, limit),
    ...related(from, limit),
    ...objects(from, limit),
    ...files(from, limit),
    ...wrap('word -> value is read, word = value written; "..." stands for steps that concern this CPU alone.', limit, 2),
  ]
}

function header({ facts, message, minimised, recording }: Counterexample, limit: number, colours: Palette): string[] {
  const { scenario, design, arch, freeing, index = '', rcu = '', tables = '' } = facts
  const where = [design, arch, freeing, index, rcu, tables].filter((text) => text !== '').join(', ')
  const verdict =
    message !== '' ? 'violation' : recording.mismatch === '' ? 'nothing is wrong along this path' : 'the path cannot be followed'
  const lines = wrap(`${scenario}${where === '' ? '' : ` (${where})`}: ${verdict}`, limit, 2)
  if (recording.mismatch !== '') lines.push(...wrap(recording.mismatch, limit, 4, 2))
  if (message !== '') lines.push(...wrap(message, limit, 4, 2).map((line) => colours.red(line)))
  if (recording.violation !== null)
    lines.push(...wrap(`found by ${recording.violation.detector}${recording.violation.bookkeeping ? ' (bookkeeping)' : ''}`, limit, 4, 2))
  if (recording.acrossExecutions) lines.push(...wrap('seen across executions: no single one shows it', limit, 4, 2))
  if (minimised !== null) {
    const { before, after, complete } = minimised
    const was = before.preemptions === after.preemptions && before.steps === after.steps ? '' : `; found with ${size(before)}`
    lines.push(...wrap(`${size(after)}${was}${complete ? '' : '; cut short'}`, limit, 4, 2))
  }
  return lines
}

/** What was done before. */
function setUp({ facts }: Counterexample, limit: number): string[] {
  const calls = facts.setUp ?? []
  if (calls.length === 0) return []
  return ['Set up (pages are called by their numbers):', ...calls.flatMap(([cpu, text]) => wrap(`CPU ${cpu} ${text}`, limit, 4, 2)), '']
}

function size({ preemptions, steps }: { readonly preemptions: number; readonly steps: number }): string {
  return `${preemptions} preemption${preemptions === 1 ? '' : 's'}, ${steps} steps`
}

/** The columns themselves. */
function story(from: Counterexample, limit: number, colours: Palette): string[] {
  const { recording, lines, moment, message, names } = from
  const { events } = recording
  const { cpus } = recording.machine
  const narrow = Math.floor((limit - GAP * (cpus - 1)) / cpus)
  const texts = lines.map((line) => describeLine(from, line))
  // Unlimited columns are as wide as their widest line; others share the width, or go beyond it where it is too small.
  const widths = Array.from({ length: cpus }, (_, cpu) => {
    if (Number.isFinite(limit)) return Math.max(NARROWEST, narrow)
    const longest = Math.max(
      12,
      ...texts.filter((text) => text.cpu === cpu).map(({ place, text, indent }) => indent + place.length + 2 + text.length),
    )
    return Math.min(WIDE_COLUMN, longest)
  })
  const starts: number[] = []
  let at = 0
  for (const columnWidth of widths) {
    starts.push(at)
    at += columnWidth + GAP
  }
  const inColumn = (cpu: number, text: string): string => ' '.repeat(starts[cpu] as number) + text
  const out: string[] = [
    widths
      .map((columnWidth, cpu) => `CPU ${cpu}`.padEnd(columnWidth + GAP))
      .join('')
      .trimEnd(),
    widths.map((columnWidth) => '-'.repeat(columnWidth)).join(' '.repeat(GAP)),
  ]
  let last = -1
  lines.forEach((line, i) => {
    const { cpu, place, text, indent, folded } = texts[i] as Described
    if (last >= 0 && cpu !== last) out.push('')
    last = cpu
    const laidOut = layOut(place, text, indent, widths[cpu] as number)
    out.push(...laidOut.map((one) => inColumn(cpu, folded ? colours.dim(one) : one)))
    if (line.event !== null && line.event.index === moment) {
      for (const one of wrap(`*** ${brief(message)}`, widths[cpu] as number, 4)) out.push(inColumn(cpu, colours.red(colours.bold(one))))
    }
  })
  for (const wait of moment < 0 ? recording.waiting : []) {
    const cpu = wait.agent % cpus
    if (last >= 0 && cpu !== last) out.push('')
    last = cpu
    const { file, line, function: name } = recording.machine.tree.sites[wait.site] ?? UNKNOWN_SITE
    const place = file === '' ? '' : `${name}:${line}`
    const holder = holderOf(from, wait.word)
    const text = `${describeWait(wait, names, events.length - 1)} for ever${holder === '' ? '' : ` (${holder} holds it)`}`
    out.push(...layOut(place, text, wait.agent < cpus ? 2 : 4, widths[cpu] as number).map((one) => inColumn(cpu, one)))
  }
  if (moment < 0 && message !== '' && !recording.acrossExecutions)
    out.push('', ...wrap(`*** at the end: ${brief(message)}`, limit, 4).map((one) => colours.red(colours.bold(one))))
  return out.map((line) => line.trimEnd())
}

/** The first clause of a message: the header has all of it. */
function brief(message: string): string {
  const clause = message.split(/ \(|[;,\n]|: CPU \d+ at | at \S+ \S+\.ts:/)[0] as string
  return clause.length < 6 ? message : clause
}

interface Described {
  readonly cpu: number
  readonly indent: number
  readonly place: string
  readonly text: string
  readonly folded: boolean
}

function describeLine(from: Counterexample, line: Line): Described {
  const { facts, names, recording } = from
  const { sites } = recording.machine.tree
  const { cpus } = recording.machine
  if (line.event === null && line.folded === null) {
    const { agent, text } = line.heading
    return { cpu: agent % cpus, indent: 0, place: '', text, folded: false }
  }
  if (line.event === null) {
    const { agent, steps, first, last } = line.folded
    const [a, b] = [first, last].map((event) => sites[event.site] ?? UNKNOWN_SITE)
    const where = a?.file === '' ? '' : a?.function === b?.function ? ` in ${a?.function}` : ` in ${a?.function} to ${b?.function}`
    const text = `... ${steps} step${steps === 1 ? '' : 's'}${where}`
    return { cpu: agent % cpus, indent: agent >= cpus ? 4 : 2, place: '', text, folded: true }
  }
  const { event } = line
  const described = { cpu: event.cpu, indent: event.interrupt ? 4 : 2, place: '', folded: false }
  if (event.kind === 'call-begins') return { ...described, indent: 0, text: callText(facts.calls, event) }
  if (event.kind === 'call-returns')
    return { ...described, indent: 0, text: `${callName(facts.calls, event)} ${describeAccess(event, names)}` }
  if (event.kind === 'interrupt-begins') return { ...described, indent: 2, text: '<irq> an IPI arrives' }
  if (event.kind === 'interrupt-returns') return { ...described, indent: 2, text: '</irq>' }
  const site = sites[event.site] ?? UNKNOWN_SITE
  return { ...described, place: site.file === '' ? '' : `${site.function}:${site.line}`, text: describeAccess(event, names) }
}

function callText(calls: readonly (readonly string[])[], { cpu, call }: RecordedEvent): string {
  return calls[cpu]?.[call] ?? `call ${call}`
}

function callName(calls: readonly (readonly string[])[], event: RecordedEvent): string {
  return callText(calls, event).replace(/\(.*$/s, '')
}

/** A step in a column: place and text on one line, or the text below its place. */
function layOut(place: string, text: string, indent: number, width: number): string[] {
  const margin = ' '.repeat(indent)
  if (place === '') return wrap(text, width, indent + 2, indent)
  if (indent + place.length + 2 + text.length <= width) return [`${margin}${place}  ${text}`]
  return [...wrap(place, width, indent, indent), ...wrap(text, width, indent + 4, indent + 2)]
}

/** Who holds the lock at `word` at the end, or ''. */
function holderOf({ recording: { events, machine } }: Counterexample, word: number): string {
  for (let agent = 0; agent < machine.cpus * 2; agent++) {
    const last = events.findLast((event) => event.agent === agent)
    if (last?.locks.some(({ lock }) => lock === word)) return `CPU ${last.cpu}${last.interrupt ? ' <irq>' : ''}`
  }
  return ''
}

/** Who holds what at the moment of the violation. */
function holdings({ recording, names, moment, facts }: Counterexample, limit: number): string[] {
  const { events, machine } = recording
  const end = moment < 0 ? events.length - 1 : moment
  const out: string[] = []
  let anything = false
  for (let agent = 0; agent < machine.cpus * 2; agent++) {
    const last = events.findLast((event) => event.agent === agent && event.index <= end)
    if (last === undefined || last.kind === 'interrupt-returns') continue
    const ended = last.kind === 'call-returns' && last.call + 1 >= (facts.calls[agent]?.length ?? 1)
    const held = last.locks.map(({ lock, exclusive, site }) => {
      const { function: name, line, file } = machine.tree.sites[site] ?? UNKNOWN_SITE
      return `${lockName(names.address(lock, end))}${exclusive ? '' : ' (read)'}${file === '' ? '' : ` (${name}:${line})`}`
    })
    if (last.rcu > 0) held.push(`an RCU read-side section${last.rcu > 1 ? ` (depth ${last.rcu})` : ''}`)
    if (last.irqOff > 0) held.push('interrupts off')
    anything ||= held.length > 0 || !ended
    const who = agent < machine.cpus ? `CPU ${agent}` : `CPU ${agent - machine.cpus} <irq>`
    const what = held.length === 0 ? 'no lock' : held.join(', ')
    const mode = ended || agent >= machine.cpus ? '' : ` is ${modeOf(recording, agent, end)},`
    out.push(...wrap(`${who}${mode} holds ${what}${ended ? ' (returned)' : ''}`, limit, 4, 2))
  }
  if (!anything) return [`${moment < 0 ? 'At the end' : 'At that moment'} nobody holds a lock or is in an RCU section.`]
  return [moment < 0 ? 'At the end:' : 'At that moment:', ...out]
}

const MODES: Readonly<Record<number, string>> = {
  [Mode.outside]: 'outside the kernel',
  [Mode.user]: 'in user mode',
  [Mode.kernel]: 'in the kernel',
}

/** The mode of a CPU once event `end` has happened. */
function modeOf({ machine, memory, events }: Counterexample['recording'], cpu: number, end: number): string {
  const { Cpu, CPU_STRIDE } = machine.tree.percpu
  const word = machine.areas + cpu * CPU_STRIDE + Cpu.context
  const set = events.findLast((event) => event.kind === 'step' && event.a === word && event.index <= end && event.after !== event.before)
  return MODES[(set?.after ?? (memory[word] as number)) & 3] ?? ''
}

/** What had been freed or queued, and by whom. */
function related({ related: list, recording }: Counterexample, limit: number): string[] {
  const { cpus, tree } = recording.machine
  if (list.length === 0) return []
  const who = (agent: number): string => (agent < cpus ? `CPU ${agent}` : `CPU ${agent - cpus} <irq>`)
  return [
    'Before it:',
    ...list.flatMap(({ text, agent, site }) =>
      wrap(`${who(agent)} ${text}${site > 0 ? ` at ${formatSite(tree.sites[site] ?? UNKNOWN_SITE)}` : ''}`, limit, 4, 2),
    ),
  ]
}

/** What the numbered names stand for. */
function objects({ names, recording }: Counterexample, limit: number): string[] {
  const { tree } = recording.machine
  const all = names.named()
  const born = ({ origin }: Pick<(typeof all)[number], 'origin'>): number => origin?.index ?? -1
  const lines = all.flatMap(({ name, kind, base, origin }) => {
    if (kind === 'page' || kind === 'frame') return []
    const { function: by, line, file } = tree.sites[origin?.site ?? 0] ?? UNKNOWN_SITE
    const from = origin === null ? 'from the set-up' : `allocated by CPU ${origin.cpu}${file === '' ? '' : ` in ${by}:${line}`}`
    const page = kind.endsWith(' table') ? ` (page ${names.frame(base)})` : ''
    const earlier = all.filter((one) => one.base === base && born(one) < born({ origin })).sort((one, other) => born(one) - born(other))
    const memory = earlier.length === 0 ? '' : `, in the memory that was ${earlier.at(-1)?.name}`
    return wrap(`${name} at 0x${base.toString(16)}${page}, ${from}${memory}`, limit, 4, 2)
  })
  return lines.length === 0 ? [] : ['Objects:', ...lines]
}

/** Which file each function lies in. */
function files({ lines, recording }: Counterexample, limit: number): string[] {
  const functions = new Map<string, Set<string>>()
  for (const { event } of lines) {
    const site = event === null ? undefined : recording.machine.tree.sites[event.site]
    if (site === undefined || site.file === '') continue
    const names = functions.get(site.file) ?? new Set()
    functions.set(site.file, names.add(site.function))
  }
  const out = [...functions].sort().flatMap(([file, names]) => wrap(`${file}: ${[...names].join(', ')}`, limit, 4, 2))
  return out.length === 0 ? [] : ['Files:', ...out]
}

/** Breaks a text into lines of at most `width`, at spaces; the first indented by `first`, the others by `rest`. */
function wrap(text: string, width: number, rest: number, first = 0): string[] {
  const lines: string[] = []
  let line = ' '.repeat(first)
  let empty = true
  for (const word of text.split(' ')) {
    let left = word
    if (!empty && line.length + 1 + left.length > width) {
      lines.push(line)
      line = ' '.repeat(rest)
      empty = true
    }
    // A word that fits no line is cut.
    while (line.length + left.length > width && width > rest + 8) {
      const room = width - line.length
      lines.push(line + left.slice(0, room))
      left = left.slice(room)
      line = ' '.repeat(rest)
    }
    line += empty ? left : ` ${left}`
    empty = false
  }
  lines.push(line)
  return lines
}
