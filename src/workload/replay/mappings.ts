// Mappings in words that can be compared: the kernel's VMAs and the model's, with neighbours that differ in nothing but their
// history joined, since which of them merged depends on the order of operations that did not touch the same pages.
import { Vm } from '../../kernel/vma/vma.ts'
import type { MapsLine } from '../../oracle/oracle.ts'
import { type SpaceEnd, VMA_WORDS } from './snapshot.ts'

/** Pages [start, end) of the machine's real page numbers, and what is mapped there. */
export interface Piece {
  start: number
  end: number
  what: string
}

/** How a mapping is described: rights, `s`hared or `p`rivate, the object, its page index less the page. */
export function describeMapping(prot: number, shared: boolean, object: string, delta: number): string {
  const rights = `${prot & 1 ? 'r' : '-'}${prot & 2 ? 'w' : '-'}${prot & 4 ? 'x' : '-'}${shared ? 's' : 'p'}`
  return object === '' ? `${rights} anonymous` : `${rights} ${object} ${delta}`
}

/** A description for people: without the page index. */
export function mappingName(what: string): string {
  const [rights, object] = what.split(' ')
  return what === NOTHING ? 'nothing' : `${rights} ${object}`
}

/** The description of a page where nothing is mapped. */
export const NOTHING = '-'

/** Joins neighbours of the same description. */
function join(pieces: Piece[]): Piece[] {
  const out: Piece[] = []
  for (const piece of pieces) {
    const before = out[out.length - 1]
    if (before !== undefined && before.end === piece.start && before.what === piece.what) before.end = piece.end
    else out.push(piece)
  }
  return out
}

/** The model's mappings. `names` gives objects their names. */
export function expectedPieces(lines: readonly MapsLine[], pageBytes: number): Piece[] {
  return join(
    lines.map((line) => {
      const start = line.start / pageBytes
      const prot = (line.read ? 1 : 0) | (line.write ? 2 : 0) | (line.execute ? 4 : 0)
      const object = line.object?.name ?? ''
      return { start, end: line.end / pageBytes, what: describeMapping(prot, line.shared, object, line.offset / pageBytes - start) }
    }),
  )
}

/** The kernel's mappings. `nameOf`: an object's name by its struct file. */
export function foundPieces(end: SpaceEnd, real: (page: number) => number, nameOf: (file: number, page: number) => string): Piece[] {
  const out: Piece[] = []
  const { vmas } = end
  for (let at = 0; at < vmas.length; at += VMA_WORDS) {
    const start = real(vmas[at]!)
    const flags = vmas[at + 2]!
    const file = vmas[at + 4]!
    const what = describeMapping(flags, (flags & Vm.mayShare) !== 0, file === 0 ? '' : nameOf(file, start), vmas[at + 3]! - start)
    out.push({ start, end: start + vmas[at + 1]! - vmas[at]!, what })
  }
  return join(out)
}

/** Calls `visit` for each stretch in which both are the same from its beginning to its end. */
export function comparePieces(
  expected: readonly Piece[],
  found: readonly Piece[],
  visit: (start: number, end: number, expected: string, found: string) => void,
): void {
  let a = 0
  let b = 0
  let at = 0
  while (a < expected.length || b < found.length) {
    const x = expected[a]
    const y = found[b]
    const inX = x !== undefined && x.start <= at
    const inY = y !== undefined && y.start <= at
    const next = Math.min(
      x === undefined ? Number.POSITIVE_INFINITY : inX ? x.end : x.start,
      y === undefined ? Number.POSITIVE_INFINITY : inY ? y.end : y.start,
    )
    if (inX || inY) visit(at, next, inX ? x.what : NOTHING, inY ? y.what : NOTHING)
    at = next
    if (x !== undefined && x.end <= at) a++
    if (y !== undefined && y.end <= at) b++
  }
}
