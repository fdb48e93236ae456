// The options of `gracewalk run`, read from what the user typed.
import { AXES, FIRST_ARCHS, LISTS, USUAL, USUAL_DESIGNS, USUAL_FREEING } from '../scenario/runner/axes.ts'
import { parseTouchPolicy, type TouchPolicy } from '../workload/program/touches.ts'
import type { PageMap } from '../workload/replay/addresses.ts'
import { designNames } from './design-option.ts'
import { names, one, type RawOptions, text, wholeNumber } from './option-values.ts'
import { UsageError } from './usage-error.ts'

/** What `gracewalk run` is to do. */
export interface RunOptions {
  readonly cpus: number
  readonly designs: readonly string[]
  readonly archs: readonly string[]
  readonly freeing: readonly string[]
  readonly indexes: readonly string[]
  readonly rcus: readonly string[]
  readonly tables: readonly string[]
  readonly pageMap: PageMap
  /** Undefined: none for recordings with faults, else the default policy. */
  readonly touch: TouchPolicy | undefined
  /** Bytes. */
  readonly memory: number | undefined
  /** Microseconds. */
  readonly diskLatency: number
  readonly json: boolean
  readonly verify: boolean
}

/** Reads the options. Throws UsageError with one sentence. */
export function runOptions(raw: RawOptions): RunOptions {
  return {
    cpus: wholeNumber(raw, 'cpus', 2, 1, 64),
    designs: designNames(raw, AXES.designs) ?? USUAL_DESIGNS,
    archs: raw.arch === undefined ? FIRST_ARCHS : names(raw, 'arch', AXES.archs),
    freeing: raw.freeing === undefined ? [USUAL_FREEING] : names(raw, 'freeing', AXES.freeing),
    indexes: furtherAxis(raw, 'indexes'),
    rcus: furtherAxis(raw, 'rcus'),
    tables: furtherAxis(raw, 'tables'),
    pageMap: one(raw, 'pageMap', ['scale', 'round'], 'scale'),
    touch: touchPolicy(raw),
    memory: memory(raw),
    diskLatency: wholeNumber(raw, 'diskLatency', 0, 0, 10_000_000),
    json: raw.json === true,
    verify: raw.verify !== false,
  }
}

/** The values of one of the axes that are usually left alone. */
function furtherAxis(raw: RawOptions, list: 'indexes' | 'rcus' | 'tables'): readonly string[] {
  const axis = LISTS[list]
  return raw[axis] === undefined ? [USUAL[axis]] : names(raw, axis, AXES[list])
}

function touchPolicy(raw: RawOptions): TouchPolicy | undefined {
  const given = text(raw, 'touch')
  if (given === undefined) return undefined
  const policy = parseTouchPolicy(given)
  if (policy === undefined) throw new UsageError(`--touch must be none, first, all or sample:N with N from 1, not '${given}'`)
  return policy
}

function memory(raw: RawOptions): number | undefined {
  const given = text(raw, 'memory')
  if (given === undefined) return undefined
  const match = /^(\d+)([KMG]?)(i?B)?$/i.exec(given)
  const shift = { '': 0, K: 10, M: 20, G: 30 }[match?.[2]?.toUpperCase() ?? '']
  if (match === null || shift === undefined) throw new UsageError(`--memory must be bytes, such as 67108864 or 64M, not '${given}'`)
  return Number(match[1]) * 2 ** shift
}
