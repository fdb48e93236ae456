// What a set of lists consisted of and hit, so that a run can say what it has covered.

import type { Answer, Operation } from './operation.ts'
import type { Hit } from './oracle_subject.ts'

/** Counts over all operations seen. */
export class Mix {
  lists = 0
  operations = 0
  failed = 0
  faults = 0
  splits = 0
  merges = 0
  partialUnmaps = 0
  /** Operations that hit at least one of a split, a merge or a partial unmap. */
  shaped = 0
  /** Operations of lists in which a fork had already happened. */
  afterFork = 0
  readonly kinds = new Map<string, number>()

  /** Adds one list; `hits` comes from the oracle's run of it. */
  add(list: readonly Operation[], answers: readonly Answer[], hits: readonly Hit[]): void {
    let forked = false
    this.lists++
    for (const [index, op] of list.entries()) {
      const answer = answers[index]
      const hit = hits[index]
      this.operations++
      this.kinds.set(op.kind, (this.kinds.get(op.kind) ?? 0) + 1)
      if (answer?.fault) this.faults++
      else if ((answer?.result ?? 0) < 0) this.failed++
      if (hit?.split) this.splits++
      if (hit?.merge) this.merges++
      if (hit?.partialUnmap) this.partialUnmaps++
      if (hit?.split || hit?.merge || hit?.partialUnmap) this.shaped++
      if (forked) this.afterFork++
      if (op.kind === 'fork') forked = true
    }
  }

  /** A few lines for a person. */
  toString(): string {
    const percent = (n: number): string => `${((100 * n) / Math.max(1, this.operations)).toFixed(1)}%`
    const kinds = [...this.kinds].sort((a, b) => b[1] - a[1]).map(([kind, n]) => `${kind} ${percent(n)}`)
    return [
      `${this.operations} operations in ${this.lists} lists: ${kinds.join(', ')}`,
      `hit a split, merge or partial unmap ${percent(this.shaped)} (split ${percent(this.splits)}, merge ${percent(this.merges)}, partial unmap ${percent(this.partialUnmaps)})`,
      `after a fork ${percent(this.afterFork)}; refused with an errno ${percent(this.failed)}; raised a signal ${percent(this.faults)}`,
    ].join('\n')
  }
}
