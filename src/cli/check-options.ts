// The options of `gracewalk check`, read from what the user typed.
import { AXES, LISTS } from '../scenario/runner/axes.ts'
import { designNames } from './design-option.ts'
import { flag, names, one, type RawOptions, text, wholeNumber } from './option-values.ts'
import { UsageError } from './usage-error.ts'

/** How to search. */
export const MODES = ['check', 'states', 'bounded', 'exhaustive', 'random', 'pct'] as const

/** What `gracewalk check` is to do. */
export interface CheckCommandOptions {
  readonly designs: readonly string[] | undefined
  readonly archs: readonly string[] | undefined
  readonly freeing: readonly string[] | undefined
  readonly indexes: readonly string[] | undefined
  readonly rcus: readonly string[] | undefined
  readonly tables: readonly string[] | undefined
  readonly variants: boolean
  readonly mode: (typeof MODES)[number]
  readonly preemptions: number
  readonly jobs: number
  /** Whether several Workers share one check: only where asked for, because then counts differ from run to run. */
  readonly share: boolean
  /** Milliseconds for each cell. */
  readonly time: number
  readonly executions: number | undefined
  readonly states: number | undefined
  readonly seed: number
  readonly json: boolean
  readonly list: boolean
  readonly wide: boolean
  readonly all: boolean
  /** A replay file to run. */
  readonly replay: string | undefined
  /** Where to write the replay file of a violation. */
  readonly save: string | undefined
  /** A file with scenarios of the user's. */
  readonly file: string | undefined
}

/** Reads the options. Throws `UsageError` with one sentence. */
export function checkOptions(raw: RawOptions, cores: number): CheckCommandOptions {
  const jobs = wholeNumber(raw, 'jobs', cores, 1, 64)
  return {
    designs: designNames(raw, AXES.designs),
    archs: axis(raw, 'archs'),
    freeing: axis(raw, 'freeing'),
    ...furtherAxes(raw),
    variants: raw.variants !== false,
    mode: one(raw, 'mode', MODES, 'check'),
    preemptions: wholeNumber(raw, 'preemptions', 2, 0, 8),
    jobs,
    share: raw.jobs !== undefined && jobs > 1,
    time: timeOption(raw, 'time', 60_000),
    executions: raw.executions === undefined ? undefined : wholeNumber(raw, 'executions', 0, 1, 2 ** 31 - 1),
    states: raw.states === undefined ? undefined : wholeNumber(raw, 'states', 0, 1000, 100_000_000),
    seed: wholeNumber(raw, 'seed', 1, 0, 2 ** 31 - 1),
    json: raw.json === true,
    list: raw.list === true,
    wide: raw.wide === true,
    all: raw.all === true,
    replay: text(raw, 'replay'),
    save: text(raw, 'save'),
    file: text(raw, 'file'),
  }
}

/** The values of an axis that were asked for, or undefined. Throws `UsageError`. */
function axis(raw: RawOptions, list: keyof typeof AXES): readonly string[] | undefined {
  return raw[LISTS[list]] === undefined ? undefined : names(raw, LISTS[list], AXES[list])
}

/** What `--index`, `--rcu` and `--tables` ask for. Throws `UsageError`. */
export function furtherAxes(raw: RawOptions): Pick<CheckCommandOptions, 'indexes' | 'rcus' | 'tables'> {
  return { indexes: axis(raw, 'indexes'), rcus: axis(raw, 'rcus'), tables: axis(raw, 'tables') }
}

/** Milliseconds: `20`, `20s`, `5m`; `usual` where nothing is said. Throws `UsageError`. */
export function timeOption(raw: RawOptions, name: string, usual: number): number {
  const given = text(raw, name)
  if (given === undefined) return usual
  const match = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(given)
  const unit = { s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's']
  const value = Number(match?.[1]) * (unit ?? Number.NaN)
  if (match === null || !(value > 0)) throw new UsageError(`${flag(name)} must be seconds, or a number with s, m or h, not '${given}'`)
  return value
}
