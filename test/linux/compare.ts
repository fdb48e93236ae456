// Runs generated lists against two subjects until the wanted number of operations agrees, or shrinks the
// first difference and reports it.

import fc from 'fast-check'
import { type Canonical, canonical, firstDifference } from './answer.ts'
import { CASES } from './cases.ts'
import { drawnLists } from './draw.ts'
import { concrete } from './generator.ts'
import { Mix } from './mix.ts'
import { encode, type Operation, type Subject } from './operation.ts'
import { OracleSubject } from './oracle_subject.ts'
import { describe, report } from './report.ts'

/** What to run. */
export interface CompareOptions {
  readonly reference: Subject
  readonly subject: Subject
  /** Stop after so many operations. */
  readonly operations: number
  readonly seed: number
  /** Longest list. */
  readonly maxLength?: number
  /** Leave out operations a subject cannot do, for example brk. */
  readonly without?: readonly Operation['kind'][]
  /** Called now and then with the operations done so far. */
  readonly progress?: (done: number) => void
}

/** The outcome: `difference` is undefined if all agreed. */
export interface Comparison {
  readonly mix: Mix
  readonly difference: string | undefined
}

/** Both subjects' answers to one list. */
export async function answersOf(
  list: readonly Operation[],
  reference: Subject,
  subject: Subject,
): Promise<{ left: Canonical[]; right: Canonical[] }> {
  const left = await reference.run(list)
  return { left: canonical(left), right: canonical(await subject.run(list)) }
}

/** The list with what follows the first difference cut off, as a report. */
async function explain(list: readonly Operation[], reference: Subject, subject: Subject): Promise<string> {
  const answers = await answersOf(list, reference, subject).catch((error: unknown) => String(error))
  // A subject that throws has no answers to show; its error and the list must do.
  if (typeof answers === 'string')
    return [answers, ...list.map((op) => `  ${describe(op)}`), '', 'as driver input:', ...list.map(encode)].join('\n')
  const { left, right } = answers
  const at = firstDifference(left, right)
  const shown = at < 0 ? list : list.slice(0, at + 1)
  return report(shown, [reference.name, subject.name], left, right)
}

/** Compares until `operations` agree or one does not. */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { reference, subject, operations, seed, maxLength = 100, without = [] } = options
  const mix = new Mix()
  const counter = new OracleSubject()
  const make = (drawn: Parameters<typeof concrete>[0]): Operation[] =>
    concrete({ ...drawn, draws: drawn.draws.filter(({ kind }) => !without.includes(kind)) })
  for (const [name, list] of Object.entries(CASES)) {
    if (list.some(({ kind }) => without.includes(kind))) continue
    const answers = await answersOf(list, reference, subject).catch(() => undefined)
    const agreed = answers !== undefined && firstDifference(answers.left, answers.right) < 0
    if (!agreed) return { mix, difference: `${name}\n${await explain(list, reference, subject)}` }
  }
  let round = 0
  let failed = false
  while (mix.operations < operations) {
    const numRuns = Math.max(1, Math.min(500, Math.ceil((operations - mix.operations) / (maxLength / 2))))
    const property = fc.asyncProperty(drawnLists(maxLength), async (drawn) => {
      const list = make(drawn)
      const { left, right } = await answersOf(list, reference, subject)
      if (firstDifference(left, right) >= 0) {
        failed = true // from here on fast-check shrinks: no longer part of the mix
        return false
      }
      if (failed) return true
      mix.add(list, counter.run(list), counter.hits)
      options.progress?.(mix.operations)
      return true
    })
    const details = await fc.check(property, { seed: (seed + round * 7919) | 0, numRuns, unbiased: true })
    if (details.failed) {
      if (details.counterexample === null) throw details.errorInstance ?? new Error('fast-check gave up')
      const list = make(details.counterexample[0])
      const where = `seed ${details.seed}, path ${details.counterexamplePath}, shrunk ${details.numShrinks} times`
      return { mix, difference: `${where}\n${await explain(list, reference, subject)}` }
    }
    round++
  }
  return { mix, difference: undefined }
}
