// `gracewalk/check`: the checker as a library, for any test runner.
//
//   import { check, scenario } from 'gracewalk/check'
//   const result = await check(scenario({ … }), { design: 'vma-lock' })
//   expect(result.verdict).toBe('proved')

import type { ExploreReport, Path } from './check/explore/index.ts'
import { counterexampleColumns } from './report/columns.ts'
import { SCENARIOS } from './scenario/all.ts'
import type { Combination } from './scenario/runner/axes.ts'
import { type CheckOptions, cellOf, checkCell, explain, replayPath } from './scenario/runner/check.ts'
import { ScenarioError } from './scenario/runner/errors.ts'
import type { Scenario } from './scenario/scenario.ts'

// What calls are given: bits and names of the kernel, so that a scenario need not import TypeScript.
export { Cache } from './kernel/memory/slab.ts'
export { Access } from './kernel/pagetable/tlb.ts'
export { SmapsWalk } from './kernel/proc/smaps.ts'
export { Advice } from './kernel/syscall/madvise.ts'
export { Placement } from './kernel/syscall/mmap.ts'
export { Remap } from './kernel/syscall/mremap.ts'
export { Vm, Vma } from './kernel/vma/vma.ts'
export type { Combination } from './scenario/runner/axes.ts'
export type { Call, Calls } from './scenario/runner/calls.ts'
export { mayLackMemory, READ_ONLY, READ_WRITE, SHARED } from './scenario/runner/calls.ts'
export { ScenarioError } from './scenario/runner/errors.ts'
export type { Stage } from './scenario/runner/stage.ts'
export { type Expectation, type Play, type Scenario, scenario, type Variant } from './scenario/scenario.ts'
export { type Path, SCENARIOS as scenarios }

/** What a check came to. */
export interface Checked extends ExploreReport {
  /** Whether the verdict does not contradict what the scenario expects. */
  readonly asExpected: boolean
  /** The counterexample in columns, or '' without a violation. */
  readonly counterexample: string
}

/**
 * What is checked, of which combination, and what may be spent; the scenario's first combination where nothing is said. `variant`: the
 * name of one of its broken variants.
 */
export type CheckLibraryOptions = CheckOptions & Partial<Combination> & { readonly variant?: string }

function find(name: string): { scenario: Scenario; variant: string | null } {
  const [plain, variant = null] = name.split(':') as [string, string | undefined]
  const found = SCENARIOS.find((one) => one.name === plain)
  if (found === undefined) throw new ScenarioError(`there is no scenario '${plain}'`)
  return { scenario: found, variant }
}

/** Checks one scenario (or one that ships, by name; `name:variant` for a broken variant) on one combination. */
export async function check(what: Scenario | string, options: CheckLibraryOptions = {}): Promise<Checked> {
  const { design, arch, freeing, index, rcu, tables, variant = null, ...rest } = options
  const found = typeof what === 'string' ? find(what) : { scenario: what, variant: null }
  const cell = cellOf(found.scenario, given({ design, arch, freeing, index, rcu, tables }), found.variant ?? variant)
  const { report, asExpected } = await checkCell(cell, rest)
  const explained = report.verdict === 'violation' ? await explain(cell, report, rest) : null
  return { ...report, asExpected, counterexample: explained === null ? '' : counterexampleColumns(explained.counterexample).join('\n') }
}

/**
 * Runs one execution of a scenario (or of its broken variant `variant`) along `path`. Returns what is wrong at its end, or ''. Throws where
 * the path does not fit.
 */
export function replayScenario(
  what: Scenario | string,
  { variant = null, ...combination }: Partial<Combination> & { readonly variant?: string | null },
  path: Path,
): Promise<string> {
  const found = typeof what === 'string' ? find(what) : { scenario: what, variant: null }
  return replayPath(cellOf(found.scenario, combination, found.variant ?? variant), path)
}

function given(combination: { readonly [K in keyof Combination]: string | undefined }): Partial<Combination> {
  return Object.fromEntries(Object.entries(combination).filter(([, value]) => value !== undefined))
}
