// A map from page numbers to values, stored as ranges: what is mapped where, and which operation was the last to change it.
// Two levels of arrays, so that a program with a hundred thousand mappings does not pay for all of them at each change.

const BLOCK = 256

interface Block<T> {
  starts: number[]
  ends: number[]
  values: T[]
}

/** Ranges of pages with values; neighbours with the same value (===) are one range. */
export interface RangeMap<T> {
  blocks: Block<T>[]
}

/** An empty map. */
export function createRanges<T>(): RangeMap<T> {
  return { blocks: [] }
}

/** A copy that shares values but no structure. */
export function copyRanges<T>(ranges: RangeMap<T>): RangeMap<T> {
  const copy = ({ starts, ends, values }: Block<T>): Block<T> => ({ starts: starts.slice(), ends: ends.slice(), values: values.slice() })
  return { blocks: ranges.blocks.map(copy) }
}

/** The value at `page`, undefined where there is none. */
export function rangeAt<T>(ranges: RangeMap<T>, page: number): T | undefined {
  const block = ranges.blocks[blockFor(ranges, page)]
  if (block === undefined) return undefined
  const at = firstEndingAfter(block, page)
  return at < block.starts.length && block.starts[at]! <= page ? block.values[at] : undefined
}

/** Calls `visit` for each piece of `[start, end)`, in order, gaps included (with undefined). The map must not change meanwhile. */
export function visitRanges<T>(
  ranges: RangeMap<T>,
  start: number,
  end: number,
  visit: (start: number, end: number, value: T | undefined) => void,
): void {
  let at = start
  for (let index = blockFor(ranges, start); index < ranges.blocks.length && at < end; index++) {
    const block = ranges.blocks[index]!
    for (let item = firstEndingAfter(block, at); item < block.starts.length; item++) {
      const from = block.starts[item]!
      if (from >= end) {
        visit(at, end, undefined)
        return
      }
      if (from > at) {
        visit(at, from, undefined)
        at = from
      }
      const to = Math.min(end, block.ends[item]!)
      visit(at, to, block.values[item])
      at = to
      if (at >= end) return
    }
  }
  if (at < end) visit(at, end, undefined)
}

/** Gives `[start, end)` one value; undefined removes it. */
export function setRange<T>(ranges: RangeMap<T>, start: number, end: number, value: T | undefined): void {
  if (start >= end) return
  const { blocks } = ranges
  let first = blockFor(ranges, start)
  // A neighbour that ends exactly here may be joined.
  if (value !== undefined && first > 0 && last(blocks[first - 1]!.ends) === start) first--
  const starts: number[] = []
  const ends: number[] = []
  const values: T[] = []
  const put = (from: number, to: number, what: T): void => {
    const before = values.length - 1
    if (before >= 0 && ends[before] === from && values[before] === what) ends[before] = to
    else {
      starts.push(from)
      ends.push(to)
      values.push(what)
    }
  }
  let placed = value === undefined
  let until = first
  for (; until < blocks.length; until++) {
    const block = blocks[until]!
    if (block.starts[0]! > end) break
    for (let at = 0; at < block.starts.length; at++) {
      const from = block.starts[at]!
      const to = block.ends[at]!
      const what = block.values[at]!
      if (from < start) put(from, Math.min(to, start), what)
      if (!placed && to >= start && from >= start) {
        put(start, end, value!)
        placed = true
      }
      if (to > end) {
        if (!placed) {
          put(start, end, value!)
          placed = true
        }
        put(Math.max(from, end), to, what)
      }
    }
  }
  if (!placed) put(start, end, value!)
  const fresh: Block<T>[] = []
  const size = starts.length <= BLOCK ? BLOCK : BLOCK / 2
  for (let at = 0; at < starts.length; at += size) {
    fresh.push({ starts: starts.slice(at, at + size), ends: ends.slice(at, at + size), values: values.slice(at, at + size) })
  }
  blocks.splice(first, until - first, ...fresh)
}

/** Pages that have a value for which `counts` holds. */
export function countPages<T>(ranges: RangeMap<T>, counts: (value: T) => boolean): number {
  let pages = 0
  for (const { starts, ends, values } of ranges.blocks) {
    for (let at = 0; at < starts.length; at++) if (counts(values[at]!)) pages += ends[at]! - starts[at]!
  }
  return pages
}

// The first block that ends after `page`, or the number of blocks.
function blockFor<T>(ranges: RangeMap<T>, page: number): number {
  let low = 0
  let high = ranges.blocks.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (last(ranges.blocks[middle]!.ends) <= page) low = middle + 1
    else high = middle
  }
  return low
}

function firstEndingAfter<T>(block: Block<T>, page: number): number {
  let low = 0
  let high = block.ends.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (block.ends[middle]! <= page) low = middle + 1
    else high = middle
  }
  return low
}

function last(numbers: number[]): number {
  return numbers[numbers.length - 1]!
}
