// The whole built-in matrix, as `gracewalk check` runs it: every scenario on every combination, and every broken variant.
import { describe, expect, it } from 'vitest'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { cellName, cellsOf } from '../../src/scenario/runner/cells.ts'
import type { CheckResult } from '../../src/scenario/runner/check.ts'
import { openPool } from '../../src/scenario/runner/pool.ts'

/** Executions that a cell may take: most take a few thousand. No time, so that a busy machine comes to the same verdicts. */
const BUDGET = 1_000_000
const TIMEOUT = 1_000_000

/** Cells that are not searched to their end within the budget, and the preemptions up to which they are. None at present. */
const NOT_PROVED: Readonly<Record<string, number>> = {}

async function checkAll(): Promise<readonly (readonly [string, CheckResult])[]> {
  const pool = openPool(2)
  try {
    return await Promise.all(
      cellsOf(SCENARIOS, { variants: true }).map(async (cell) => {
        const { scenario, variant, combination } = cell
        const name = { file: null, scenario: scenario.name, variant: variant?.name ?? null, combination }
        return [cellName(cell), await pool.ask({ kind: 'check', cell: name, options: { executions: BUDGET } })] as const
      }),
    )
  } finally {
    await pool.close()
  }
}

describe('the matrix', () => {
  it(
    'comes to the verdicts that are expected',
    async () => {
      const results = await checkAll()
      const unexpected = results.filter(([, { asExpected }]) => !asExpected)
      expect(unexpected.map(([name, { report }]) => `${name}: ${report.verdict} ${report.message}`)).toEqual([])

      const notProved = results.filter(([, { report }]) => report.verdict === 'stopped' || report.verdict === 'bounded')
      expect(Object.fromEntries(notProved.map(([name, { report }]) => [name, report.preemptions]))).toEqual(NOT_PROVED)

      const safe = results.filter(([, { expected }]) => expected === 'safe')
      expect(safe.length).toBeGreaterThan(80)
      expect(safe.filter(([, { report }]) => report.verdict === 'proved').length / safe.length).toBeGreaterThanOrEqual(0.8)

      const unsafe = results.filter(([, { expected }]) => expected === 'unsafe')
      expect(unsafe.length).toBeGreaterThan(50)
      expect(unsafe.filter(([, { report }]) => report.path.length === 0)).toEqual([])

      // Where CPUs do not meet, nothing was shown; but there may be one only.
      const single = new Set(SCENARIOS.filter(({ cpus }) => cpus === 1).map(({ name }) => name))
      const proved = results.filter(([, { report, scenario }]) => report.verdict === 'proved' && !single.has(scenario))
      const lonely = proved.filter(([, { report }]) => report.agents < 2 || report.sharedObjects === 0 || report.yieldPoints < 2)
      expect(lonely.map(([name]) => name)).toEqual([])
    },
    TIMEOUT,
  )

  it('has no two cells of one name, and reaches every design and architecture', () => {
    const cells = cellsOf(SCENARIOS, { variants: true })
    const names = cells.map(cellName)
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length)
    for (const axis of ['design', 'arch', 'freeing'] as const)
      expect(new Set(cells.map(({ combination }) => combination[axis])).size).toBeGreaterThan(1)
  })
})
