// What users wait for: six scenarios of the kernel, proved in mode `check`; and the whole matrix.
import { built, type Dist } from './built.ts'
import { rate, seconds, table, whole } from './printed.ts'

type Checks = typeof import('../../src/scenario/runner/check.ts')
type Cells = typeof import('../../src/scenario/runner/cells.ts')
type Scenarios = typeof import('../../src/scenario/all.ts')
type Pools = typeof import('../../src/scenario/runner/pool.ts')

/** Seconds in which each of the six is to be proved, and in which the matrix is to be done. */
const TARGET = 20
const MATRIX_TARGET = 300

const X86 = { design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch' }
const SIX = [
  ['fault-vs-munmap', X86],
  ['fault-vs-fork', X86],
  ['smaps-under-rcu-vs-munmap', X86],
  ['two-deferred-fragments', { ...X86, arch: 'powerpc64-hash-64k', freeing: 'pte-free-defer' }],
  ['rcu-readers-vs-updater', { ...X86, design: 'mmap-lock' }],
  ['maple-lookup-vs-store', { ...X86, design: 'mmap-lock' }],
] as const

/** Prints the six. Returns how many are not proved. */
export async function measureOurs(dist: Dist, wanted: (name: string) => boolean, markdown: boolean): Promise<number> {
  const chosen = SIX.filter(([name]) => wanted(name))
  if (chosen.length === 0) return 0
  const { cellOf, checkCell } = await built<Checks>(dist, 'scenario/runner/check.js')
  const { SCENARIOS } = await built<Scenarios>(dist, 'scenario/all.js')
  const print = table(
    'Scenarios of the kernel: fewest preemptions first, then every interleaving, equal states merged',
    ['scenario', 'steps', 'states', 'executions', 'executions/s', 's', `verdict (target: proved in ${TARGET} s)`],
    [58, 6, 10, 11, 13, 7, 0],
    markdown,
  )
  let wrong = 0
  for (const [name, combination] of chosen) {
    const scenario = SCENARIOS.find((one) => one.name === name)
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`)
    const { report } = await checkCell(cellOf(scenario, combination), { milliseconds: 5 * TARGET * 1000 })
    const proved = report.verdict === 'proved'
    if (!proved) wrong++
    print.row([
      `${name}, ${combination.design} ${combination.arch}`,
      whole(report.maxDepth),
      whole(report.states),
      whole(report.executions),
      rate(report),
      seconds(report.milliseconds),
      proved ? (report.milliseconds <= TARGET * 1000 ? 'proved' : 'proved, too slow') : `${report.verdict}: ${report.message}`,
    ])
  }
  console.log('')
  return wrong
}

/** Checks the built-in matrix with `jobs` Workers, variants included. Returns how many verdicts are not as expected. */
export async function measureMatrix(dist: Dist, jobs: number): Promise<number> {
  const { cellsOf } = await built<Cells>(dist, 'scenario/runner/cells.js')
  const { SCENARIOS } = await built<Scenarios>(dist, 'scenario/all.js')
  const { openPool } = await built<Pools>(dist, 'scenario/runner/pool.js')
  const started = performance.now()
  const pool = openPool(jobs)
  const results = await Promise.all(
    cellsOf(SCENARIOS, { variants: true }).map(({ scenario, variant, combination }) =>
      pool.ask({
        kind: 'check',
        cell: { file: null, scenario: scenario.name, variant: variant?.name ?? null, combination },
        options: { milliseconds: 60_000 },
      }),
    ),
  )
  await pool.close()
  const took = performance.now() - started
  const wrong = results.filter(({ asExpected }) => !asExpected).length
  const proved = results.filter(({ report }) => report.verdict === 'proved').length
  console.log(
    `The matrix with ${jobs} jobs: ${results.length} checks in ${seconds(took)} s (target: ${MATRIX_TARGET}), ${proved} proved, ` +
      `${results.length - wrong} as expected\n`,
  )
  return wrong
}
