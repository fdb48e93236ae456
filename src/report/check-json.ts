// The JSON of `gracewalk check`: one object, fields named and never renamed.
import type { CounterexampleJson } from '../check/counterexample/index.ts'
import { wholeCombination } from '../scenario/runner/axes.ts'
import type { CheckResult } from '../scenario/runner/check.ts'

/**
 * All results, and the counterexample where one was asked for. `model` says under which memory model. `leftOut`: scenarios that name
 * the designs that they are about, where a design of the user's own was asked for.
 */
export function checkJson(
  version: string,
  results: readonly CheckResult[],
  counterexample: CounterexampleJson | null,
  leftOut: readonly { readonly name: string }[] = [],
): object {
  return {
    gracewalk: version,
    model: 'SC',
    results: results.map(({ scenario, variant, combination, expected, asExpected, report }) => ({
      scenario,
      variant,
      ...wholeCombination(combination),
      expected,
      asExpected,
      ...report,
    })),
    asExpected: results.every(({ asExpected }) => asExpected),
    counterexample,
    ...(leftOut.length === 0 ? {} : { leftOut: leftOut.map(({ name }) => name) }),
  }
}
