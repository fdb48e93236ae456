// Two Workers on one search against one, in turns: one, two, one, two, and the median of the ratios of the same turn.
import { fileURLToPath } from 'node:url'
import { built, type Dist, explorer } from './built.ts'
import { seconds, table, whole } from './printed.ts'
import { lockedCounter } from './programs.ts'

type Model = import('../../src/check/explore/index.ts').Model
type Report = import('../../src/check/explore/index.ts').ExploreReport
type CellModels = typeof import('../../src/scenario/runner/cell-model.ts')
type Questions = typeof import('../../src/scenario/runner/question.ts')

const ROUNDS = 3
const TARGET = 1.6
const LOCK = [5, 12] as const
const FILE = 'bench/check/two-faults-vs-munmap.mjs'
const SCENARIO = 'two-faults-vs-munmap'
const COMBINATION = { design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch' }
const PREEMPTIONS = 3

/** The locked counter, for a Worker. */
export async function lockModel(dist: Dist, agents: number, rounds: number): Promise<Model> {
  return (await explorer(dist)).litmus(lockedCounter(agents, rounds))
}

/** Prints both rows. Returns how many are not proved. */
export async function measureTwoJobs(dist: Dist, wanted: (name: string) => boolean, markdown: boolean): Promise<number> {
  if (!wanted('two jobs')) return 0
  const { exploreJobs } = await explorer(dist)
  const { checkCellJobs } = await built<CellModels>(dist, 'scenario/runner/cell-model.js')
  const { cellNamed } = await built<Questions>(dist, 'scenario/runner/question.js')
  const source = { url: import.meta.url, exportName: 'lockModel', args: [dist, ...LOCK] }
  const file = fileURLToPath(new URL(`../${FILE}`, dist))
  const name = { file, scenario: SCENARIO, variant: null, combination: COMBINATION }
  const cell = await cellNamed(name)
  const rows: readonly [string, (jobs: number) => Promise<Report>][] = [
    [`locked counter ${LOCK.join('×')}`, (jobs) => exploreJobs(source, { jobs, mode: 'states' })],
    [
      `${SCENARIO}, ${PREEMPTIONS} preemptions`,
      async (jobs) => (await checkCellJobs(cell, name, { mode: 'bounded', preemptions: PREEMPTIONS }, jobs)).report,
    ],
  ]
  const print = table(
    'Two jobs against one, Workers started included',
    ['search', 'states', '1 job s', '2 jobs s', 'ratio', `least and greatest (target: ${TARGET}x)`],
    [38, 10, 8, 9, 6, 0],
    markdown,
  )
  let wrong = 0
  for (const [title, search] of rows) {
    const rounds: (readonly [Report, Report])[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push([await search(1), await search(2)])
    if (rounds.flat().some(({ verdict }) => verdict !== 'proved' && verdict !== 'bounded')) wrong++
    const ratios = rounds.map(([one, two]) => one.milliseconds / two.milliseconds)
    print.row([
      title,
      whole(rounds[0]?.[0].states ?? 0),
      seconds(median(rounds.map(([one]) => one.milliseconds))),
      seconds(median(rounds.map(([, two]) => two.milliseconds))),
      `${median(ratios).toFixed(2)}x`,
      `${Math.min(...ratios).toFixed(2)}x to ${Math.max(...ratios).toFixed(2)}x`,
    ])
  }
  console.log('')
  return wrong
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] as number
}
