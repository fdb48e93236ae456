// When two failures are the same failure: the same detector with the same words, whatever the addresses and places.
import type { Violation } from '../violation.ts'

/**
 * What stays of a failure however the execution that shows it is shortened: the detector, if there is one, and the words in
 * front of the first number, place or list.
 */
export function signatureOf(failure: string, violation: Violation | null): string {
  if (failure === '') return ''
  // `CPU 1 at f file.ts:10: cmpxchg: what was thrown`
  const text = failure.replace(/^CPU \d+(?: \(interrupt\))? at .*?:\d+: \w+: /, 'thrown: ')
  const words: string[] = []
  for (const word of text.split(/\s+/)) {
    if (/\d/.test(word) || word.includes('(') || words.length === 8) break
    words.push(word.replace(/[:;,.]+$/, ''))
    if (/[:;]$/.test(word) && words.length > 1) break
  }
  return `${violation === null ? '' : `${violation.detector}: `}${words.join(' ')}`
}
