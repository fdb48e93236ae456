// A cell of the matrix as a model that several Workers build, each for itself, to share one search (`exploreJobs`).
import { type ExploreReport, exploreJobs, type Model, type Progress } from '../../check/explore/index.ts'
import type { Cell } from './cells.ts'
import { type CheckResult, nothingRan, resultOf } from './check.ts'
import { type CellName, cellNamed, type SentOptions } from './question.ts'
import { rehearse } from './rehearse.ts'
import { scratchDirectory, useScratch } from './scratch.ts'

/** The model of the cell called `name`, for a Worker. `scratch`: where changed kernels are put. */
export async function cellModel(name: CellName, except: readonly string[], scratch: string): Promise<Model> {
  useScratch(scratch)
  return (await rehearse(await cellNamed(name), { except })).model
}

/** Checks one cell with several Workers. Modes by chance and of single traces cannot be shared: see `canShare`. */
export async function checkCellJobs(
  cell: Cell,
  name: CellName,
  options: SentOptions & { readonly onProgress?: (progress: Progress) => void },
  jobs: number,
): Promise<CheckResult> {
  const { except = [], mode, seed, ...rest } = options
  const source = { url: import.meta.url, exportName: 'cellModel', args: [name, except, scratchDirectory()] }
  let report: ExploreReport
  try {
    report = await exploreJobs(source, { ...rest, jobs, mode: shared(mode) })
  } catch (error) {
    // What is wrong with the scenario is said better by the thread that can catch it.
    await rehearse(cell, { except })
    throw nothingRan(cell, error)
  }
  return resultOf(cell, report, mode)
}

/** Whether several Workers can share a search in `mode`. */
export function canShare(mode: SentOptions['mode']): boolean {
  return mode === undefined || mode === 'check' || mode === 'states' || mode === 'bounded'
}

function shared(mode: SentOptions['mode']): 'check' | 'states' | 'bounded' {
  return mode === 'states' || mode === 'bounded' ? mode : 'check'
}
