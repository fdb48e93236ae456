// When two failures are the same failure: the same detector with the same words, whatever the addresses and places.
import type { Violation } from '../violation.ts'

/**
 * What stays of a failure however the execution that shows it is shortened: the detector, if there is one, and the words in
 * front of the first number, place or list.
 */
export function signatureOf(failure: string, violation: Violation | null): string {
  if (failure === '') return ''
  const thrown = whatWasThrown(failure)
  const text = thrown === failure ? failure : `thrown: ${thrown}`
  const words = leadingWords(text).map((word) => word.replace(/[:;,.]+$/, ''))
  return `${violation === null ? '' : `${violation.detector}: `}${words.join(' ')}`
}

/** A regular expression, as text, that matches `failure` and others like it, whatever their numbers and places. */
export function patternOf(failure: string): string {
  const text = whatWasThrown(failure)
  const words = leadingWords(text)
  // A message that begins with a number or a list: its first words, with any number in them.
  const chosen = words.length > 0 ? words : text.trim().split(/\s+/).slice(0, 6)
  const last = chosen.length - 1
  return chosen
    .map((word, i) => (i === last && words.length > 0 ? word.replace(/[:;,.]+$/, '') : word))
    .map((word) => word.split(/(0x[\da-f]+|\d+)/).map((part, i) => (i % 2 === 1 ? '\\w+' : part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))))
    .map((parts) => parts.join(''))
    .join(/\s\s|[^\S ]/.test(text) ? '\\s+' : ' ')
}

/** The words in front of the first number, place or list; up to the second that ends a clause, and eight. */
function leadingWords(text: string): string[] {
  const words: string[] = []
  for (const word of text.trim().split(/\s+/)) {
    if (/\d/.test(word) || word.includes('(') || words.length === 8) break
    words.push(word)
    if (/[:;]$/.test(word) && words.length > 1) break
  }
  return words
}

/** `CPU 1 at f file.ts:10: cmpxchg: what was thrown` without where. */
function whatWasThrown(failure: string): string {
  return failure.replace(/^CPU \d+(?: \(interrupt\))? at .*?:\d+: \w+: /, '')
}
