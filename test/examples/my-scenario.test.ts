// The scenarios of docs/checking.md give the verdicts that are written there, as they stand in examples/ and as a user has
// them in a project of their own; and the example of README.md runs.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check, type Scenario } from '../../src/check.ts'
import { scenariosIn } from '../../src/scenario/all.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'dist/cli/main.js')
const FILE = join(ROOT, 'examples/my-scenario/scenario.mjs')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** The blocks of a page that begin with a fence of `language` and hold `text`. */
function blocks(page: string, language: string, text: string): string[] {
  return [...read(page).matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))]
    .map((match) => match[1]!)
    .filter((b) => b.includes(text))
}

describe('examples/my-scenario', () => {
  let scenarios: readonly Scenario[]
  beforeAll(async () => {
    scenarios = await scenariosIn(FILE)
  })

  it.each([
    ['table-made-once', 'proved', ''],
    ['table-without-recheck', 'violation', 'the table was made twice'],
    ['table-published-early', 'violation', 'somebody got a table without its content'],
  ])('%s: %s %s', async (name, verdict, message) => {
    const found = await check(scenarios.find((one) => one.name === name) as Scenario)
    expect(found).toMatchObject({ verdict, message, asExpected: true })
    if (verdict === 'violation') {
      expect(found.preemptions).toBe(0) // complete up to none, so that the violation has one
      expect(found.counterexample).toMatch(/^CPU 0 +CPU 1$/m)
      expect(found.counterexample).toMatch(/^ {2}once\.ts: get/m)
    }
  })
})

describe('a project of one’s own', () => {
  let project: string
  const gracewalk = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'gracewalk-'))
    mkdirSync(join(project, 'node_modules'))
    symlinkSync(ROOT, join(project, 'node_modules/gracewalk'))
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }))
  })
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  it('runs the program and the scenarios of docs/checking.md as they are printed there', () => {
    const [program, ...morePrograms] = blocks('docs/checking.md', 'ts', 'export const Slot')
    const [scenario, ...moreScenarios] = blocks('docs/checking.md', 'js', 'export const tableMadeOnce')
    expect([morePrograms, moreScenarios]).toEqual([[], []])
    writeFileSync(join(project, 'once.ts'), program!)
    writeFileSync(join(project, 'scenario.mjs'), scenario!)
    const { status, stdout, stderr } = gracewalk(MAIN, 'check', '--file', 'scenario.mjs', '--jobs', '1')
    expect(stderr.replaceAll(/^.*\d+%\n|^.*: \d+ runs.*\n/gm, '')).toBe('')
    expect(stdout).toMatch(/^table-made-once +mmap-lock +x86_64 +rcu-batch +proved/m)
    expect(stdout).toMatch(/^table-published-early +.* violation, as expected/m)
    expect(stdout).toMatch(/^table-without-recheck +.* violation, as expected/m)
    expect(stdout).toMatch(/every verdict is as expected/)
    expect(status).toBe(0)
  })

  it('has the same program and scenarios in examples/', () => {
    const code = (text: string): string => text.replaceAll(/^\/\/.*\n/gm, '').replaceAll(/'(?:\.\.\/)+src\/kernel\//g, "'gracewalk/kernel/")
    expect(code(read('examples/my-scenario/once.ts'))).toBe(code(blocks('docs/checking.md', 'ts', 'export const Slot')[0]!))
    expect(code(read('examples/my-scenario/scenario.mjs'))).toBe(code(blocks('docs/checking.md', 'js', 'export const tableMadeOnce')[0]!))
  })

  it('has the scenario about system calls in examples/, and it gives the verdicts that are printed', () => {
    const shown = blocks('docs/checking.md', 'js', 'export const twoMprotects')
    expect(shown).toHaveLength(1)
    expect(read('examples/my-scenario/two-mprotects.mjs')).toContain(shown[0]!)
    writeFileSync(join(project, 'two-mprotects.mjs'), shown[0]!)
    const { status, stdout } = gracewalk(
      MAIN,
      'check',
      '--file',
      'two-mprotects.mjs',
      '--arch',
      'x86_64',
      '--design',
      'mmap-lock',
      '--jobs',
      '1',
    )
    const rows = stdout.match(/^two-mprotects.*/gm)?.map((row) => row.match(/^(\S+) .* (proved|violation, as expected)/)?.slice(1))
    expect(rows).toEqual([
      ['two-mprotects', 'proved'],
      ['two-mprotects:found-before-the-lock', 'violation, as expected'],
      ['two-mprotects:to-the-end-of-the-vma', 'violation, as expected'],
    ])
    expect(status).toBe(0)
  })

  it.each(['README.md', 'docs/checking.md'])('runs the library example of %s', (page) => {
    const examples = blocks(page, 'js', "from 'gracewalk/check'").filter((text) => text.includes('await check('))
    expect(examples).toHaveLength(1)
    writeFileSync(join(project, 'example.mjs'), examples[0]!)
    const { status, stdout, stderr } = gracewalk('example.mjs')
    expect(stderr).toBe('')
    const promised = examples[0]!.match(/console\.log\(.*\/\/ (.*)/)?.[1]
    expect(stdout.trim().split('\n')[0]).toBe(promised)
    expect(status).toBe(0)
  })
})
