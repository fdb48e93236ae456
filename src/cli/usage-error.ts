// What the user got wrong, in one sentence; and the names that were probably meant.
import { closest, distance } from 'fastest-levenshtein'

/** Ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Exit codes. */
export const Exit = Object.freeze({ success: 0, failed: 1, usage: 2, interrupted: 130 })

/** Names that a sentence can list. */
const FEW = 30

/** `, did you mean 'vma-lock'?` when one of `known` is near, else the list of them if that is no long one. */
export function suggestion(wrong: string, known: readonly string[]): string {
  const best = closest(wrong, [...known])
  const near = distance(wrong, best) <= Math.max(2, Math.floor(wrong.length / 2))
  if (near) return `, did you mean '${best}'?`
  return known.length > FEW ? `: there are ${known.length}` : `: use one of ${known.join(', ')}`
}
