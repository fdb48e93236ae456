// Values of options as people type them: numbers within bounds, names out of a list, one sentence when they do not fit.
import { suggestion, UsageError } from './usage-error.ts'

/** Options as cac gives them. */
export type RawOptions = Readonly<Record<string, unknown>>

/** `--diskLatency` as it is typed: `--disk-latency`. */
export function flag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** The text of option `name`, or undefined. Given several times, the lists are joined. */
export function text(raw: RawOptions, name: string): string | undefined {
  const value = raw[name]
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.join(',') : String(value)
}

/** A whole number from `least` to `most`, or `usual`. Throws `UsageError`. */
export function wholeNumber(raw: RawOptions, name: string, usual: number, least: number, most: number): number {
  const given = text(raw, name)
  if (given === undefined) return usual
  const value = Number(given)
  if (given.trim() === '' || !Number.isInteger(value) || value < least || value > most) {
    throw new UsageError(`${flag(name)} must be a whole number from ${least} to ${most}, not '${given}'`)
  }
  return value
}

/** Names out of `known`, with commas; `all` and nothing are all of them. Throws `UsageError`. */
export function names(raw: RawOptions, name: string, known: readonly string[], usual = known): readonly string[] {
  const given = text(raw, name)
  if (given === undefined || given === 'all') return usual
  const wanted = given.split(',').map((part) => part.trim())
  if (wanted.includes('all')) return usual
  for (const part of wanted) {
    if (!known.includes(part)) throw new UsageError(`unknown ${name} '${part}'${suggestion(part, [...known, 'all'])}`)
  }
  return [...new Set(wanted)]
}

/** One name out of `known`, or `usual`. Throws `UsageError`. */
export function one<T extends string>(raw: RawOptions, name: string, known: readonly T[], usual: T): T {
  const given = text(raw, name)
  if (given === undefined) return usual
  const found = known.find((value) => value === given)
  if (found === undefined) throw new UsageError(`${flag(name)} must be ${known.join(' or ')}, not '${given}'`)
  return found
}
