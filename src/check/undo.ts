// Changes of words that can be taken back. Whoever is about to change a word of an array notes what it holds; going back to an
// earlier moment gives all words noted since then their old values, the latest first.

/** What words held before they were changed, in order. Of one array. */
export interface Undo {
  readonly places: number[]
  readonly values: number[]
}

/** Nothing has been changed. */
export function createUndo(): Undo {
  return { places: [], values: [] }
}

/** Word `p`, which holds `value`, is about to be changed. */
export function noteOld({ places, values }: Undo, p: number, value: number): void {
  places.push(p)
  values.push(value)
}

/** The present moment, for `takeBack`. */
export function momentOf({ places }: Undo): number {
  return places.length
}

/** Brings `words` back to how they were at `moment`. Moments after it are no more. */
export function takeBack({ places, values }: Undo, moment: number, words: Int32Array): void {
  while (places.length > moment) words[places.pop() as number] = values.pop() as number
}

/** What was noted cannot be taken back any more. */
export function forgetUndo({ places, values }: Undo): void {
  places.length = 0
  values.length = 0
}

/** Makes `array` hold what `from` holds. */
export function refill<T>(array: T[], from: readonly T[]): void {
  array.length = from.length
  for (let i = 0; i < from.length; i++) array[i] = from[i] as T
}
