// `gracewalk matrix` as a user meets it, the tables that it makes of the kernel's lists, and the page that ships.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { IrqOffSection } from '../../src/check/explore/index.ts'
import { type IrqOffTable, irqOffPlace, irqOffTables, irqOffText } from '../../src/report/matrix-irq-off.ts'
import { matrixLines, matrixMarkdown, mergeTables } from '../../src/report/matrix-report.ts'
import type { MatrixEntry, MatrixResult } from '../../src/report/matrix-result.ts'
import { palette } from '../../src/report/table.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { AXES, isDistinct } from '../../src/scenario/runner/axes.ts'
import type { CheckResult } from '../../src/scenario/runner/check.ts'
import { matrixTables } from '../../src/scenario/runner/matrix.ts'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'gracewalk-test-'))
afterAll(() => rmSync(directory, { recursive: true }))

function matrix(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, 'matrix', ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })
}

describe('the tables of the matrix', () => {
  const tables = matrixTables(SCENARIOS)
  const names = (title: RegExp): readonly string[] => tables.find((one) => title.test(one.title))!.rows.map(({ name }) => name)

  it('have every design, architecture and freeing policy', () => {
    expect(names(/^Designs on architectures/)).toEqual(AXES.designs)
    expect(names(/^Designs and questions/)).toEqual(AXES.designs)
    // But for policies that are another's equal there.
    const policies = (arch: string): readonly string[] => AXES.freeing.filter((freeing) => isDistinct(freeing, arch))
    expect([policies('s390'), policies('x86_64').length]).toEqual([AXES.freeing, AXES.freeing.length - 4])
    expect(names(/^Designs and freeing policies/)).toEqual(policies('x86_64'))
    for (const arch of AXES.archs) expect(names(new RegExp(`^Freeing page tables on ${arch}$`))).toEqual(policies(arch))
  })

  it('expect nothing of drafts', () => {
    const cells = tables.flatMap(({ rows }) => rows.flatMap((row) => row.cells)).filter((cell) => cell !== null)
    const drafts = cells.filter(({ combination }) => combination.arch === 'x86-pae-irqs-on')
    expect(drafts.length).toBeGreaterThan(0)
    expect(new Set(drafts.map(({ expected }) => expected))).toEqual(new Set([null]))
    expect(cells.some(({ expected }) => expected === 'safe')).toBe(true)
  })

  it('leave out what is not asked for', () => {
    const few = matrixTables(SCENARIOS, { designs: ['vma-lock'], archs: ['x86_64'], freeing: ['ipi'] })
    const combinations = few.slice(0, 4).flatMap(({ rows }) => rows.flatMap((row) => row.cells.map((cell) => cell?.combination)))
    expect(new Set(combinations.flatMap((one) => (one === undefined ? [] : [one.design, one.arch])))).toEqual(
      new Set(['vma-lock', 'x86_64']),
    )
  })
})

describe('gracewalk matrix', () => {
  it('writes the page, and a counterexample for each verdict that is unsafe', { timeout: 300_000 }, () => {
    const page = join(directory, 'matrix.md')
    // An earlier page, its counterexample, and a file that is somebody's own.
    mkdirSync(join(directory, 'counterexamples'))
    writeFileSync(page, '[unsafe](counterexamples/old.txt)')
    for (const name of ['old.txt', 'mine.txt']) writeFileSync(join(directory, 'counterexamples', name), '')
    const ran = matrix(...['--design', 'mmap-lock', '--arch', 'x86_64', '--freeing', 'ipi', '--no-costs', '--markdown', page, '--json'])
    expect(ran.status, ran.stderr).toBe(0)
    const { tables, irqOff, asExpected } = JSON.parse(ran.stdout) as {
      irqOff: readonly IrqOffTable[]
      tables: { title: string; rows: { name: string; cells: ({ word: string } | null)[] }[] }[]
      asExpected: boolean
    }
    expect(asExpected).toBe(true)
    const walks = tables.find(({ title }) => title === 'Freeing page tables on x86_64')!.rows[0]!
    expect([walks.name, ...walks.cells.map((cell) => cell?.word ?? null)]).toEqual(['ipi', 'safe', 'safe', 'unsafe', null])
    // The walker of smaps with interrupts off has them off for its walk of the table; the others never.
    const smaps = irqOff.find(({ rows }) => rows.some(({ walker }) => walker.startsWith('smaps')))!
    expect([smaps.title, smaps.policies]).toEqual(['x86_64', ['ipi']])
    expect(smaps.rows.map(({ walker, cells }) => [walker, irqOffText(cells[0]!), cells[0]!.place.replace(/:\d+$/, '')])).toEqual([
      ['smaps, mmap_lock', 'none', ''],
      ['smaps, interrupts off', '6', 'smapsTable proc/smaps.ts'],
      ['smaps, RCU', 'none seen', ''],
      ['munmap, beside them', '5 seen', 'spinLockIrqsave sync/spinlock.ts'],
    ])
    const text = readFileSync(page, 'utf8')
    expect(text).toContain('| smaps, interrupts off | 6 | smapsTable proc/smaps.ts:')
    const links = [...text.matchAll(/\[unsafe\]\(([^)]+)\)/g)].map(([, link]) => link as string)
    expect(links.length).toBeGreaterThan(0)
    for (const link of links) expect(readFileSync(join(directory, link), 'utf8')).toMatch(/use after free|reused/)
    expect(readdirSync(join(directory, 'counterexamples'))).toHaveLength(new Set(links).size + 1)
    expect(existsSync(join(directory, 'counterexamples', 'mine.txt'))).toBe(true)
  })

  it('says what does not exist in one sentence', () => {
    const ran = matrix('--design', 'vma-lok')
    expect([ran.status, ran.stdout]).toEqual([2, ''])
    expect(ran.stderr).toMatch(/^gracewalk: .*vma-lok.*vma-lock/)
    expect(ran.stderr.trim().split('\n')).toHaveLength(1)
  })
})

describe('the report', () => {
  const result = (arch: string, verdict: string, asExpected = true, states = 7): CheckResult =>
    ({
      scenario: 'fault-vs-munmap',
      combination: { design: 'vma-lock', arch, freeing: 'ipi' },
      variant: null,
      expected: 'safe',
      asExpected,
      report: { verdict, states, preemptions: 1, message: '' },
    }) as unknown as CheckResult
  const freeing = (arch: string, verdict: string, asExpected = true, states = 7): MatrixResult => ({
    table: {
      title: `Freeing page tables on ${arch}`,
      arch,
      says: '',
      of: 'policy',
      columns: ['walk'],
      rows: [{ name: 'ipi', cells: [null] }],
    },
    rows: [[{ result: result(arch, verdict, asExpected, states), counterexample: null }]],
  })

  it('puts architectures of the same verdicts into one table', () => {
    const merged = mergeTables([freeing('x86_64', 'proved'), freeing('arm64', 'violation'), freeing('sparc64', 'proved')])
    expect(merged.map(({ table }) => table.title)).toEqual(['Freeing page tables on x86_64, sparc64', 'Freeing page tables on arm64'])
  })

  it('never calls a search that was cut short safe', () => {
    const text = matrixMarkdown([freeing('x86_64', 'stopped'), freeing('arm64', 'bounded')], [], '')
    expect(text).toContain('| ipi | not proved: stopped |')
    expect(text).toContain('| ipi | not proved: no violation up to 1 preemption |')
    expect(text).not.toContain('| safe')
  })

  it('has the longest section with interrupts off of each walker, by policy', () => {
    const entry = (arch: string, verdict: string, irqOff: readonly IrqOffSection[]): MatrixEntry => {
      const of = result(arch, verdict)
      return { result: { ...of, report: { ...of.report, irqOff } }, counterexample: null }
    }
    const at = (cpu: number, steps: number, place = `cpu${cpu} at ${steps}`): IrqOffSection => ({ cpu, steps, place })
    const walked = (arch: string, more: number): MatrixResult => ({
      table: { ...freeing(arch, 'proved').table, columns: ['a', 'b', 'c'], walkers: ['a', null, 'c'], rows: [{ name: 'ipi', cells: [] }] },
      rows: [
        [
          entry(arch, 'proved', [at(1, 9), at(0, 3 + more), at(0, 2)]),
          entry(arch, 'proved', [at(0, 99)]),
          entry(arch, 'violation', [at(1, 5)]),
        ],
      ],
    })
    const tables = irqOffTables([walked('x86_64', 0), walked('arm64', 0), walked('s390', 1)])
    expect(tables.map(({ title }) => title)).toEqual(['x86_64, arm64', 's390'])
    expect(tables.map(({ rows }) => rows.map((row) => [row.walker, irqOffText(row.cells[0]!), irqOffPlace(row)]))).toEqual(
      [3, 4].map((steps) => [
        ['a', `${steps}`, `cpu0 at ${steps}`],
        ['c', 'none seen', '-'],
        ['munmap, beside them', '9 seen', 'cpu1 at 9'],
      ]),
    )
    expect(irqOffTables([freeing('x86_64', 'proved')])).toEqual([])
    expect(irqOffText(null)).toBe('-')
    expect(matrixLines([walked('x86_64', 0)], [], palette(false)).join('\n')).toMatch(/^a: cpu0 at 3$/m)
  })

  it('says what is not as expected, and what sets architectures apart', () => {
    const results = [freeing('x86_64', 'proved'), freeing('arm64', 'violation', false, 9)]
    expect(matrixLines(results, [], palette(false)).join('\n')).toContain(
      'not as expected: gracewalk check fault-vs-munmap --design vma-lock --arch arm64 --freeing ipi: unsafe',
    )
    expect(matrixMarkdown(results, [], '')).toContain('| arm64 | fault-vs-munmap (ipi): unsafe | 1 of 1 |')
  })
})

describe('the page that ships', () => {
  const page = fileURLToPath(new URL('../../docs/matrix.md', import.meta.url))
  it('names every design, architecture and freeing policy, and its links lead somewhere', () => {
    const text = readFileSync(page, 'utf8')
    for (const name of [...AXES.designs, ...AXES.archs, ...AXES.freeing]) expect(text, name).toContain(name)
    for (const [, link] of text.matchAll(/\]\(([^)]+)\)/g)) expect(existsSync(join(page, '..', link as string)), link).toBe(true)
  })
})
