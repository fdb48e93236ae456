// `gracewalk check` and `gracewalk ablate` as a user meets them: another process, its output, its exit code.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { checkOptions } from '../../src/cli/check-options.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MINE = 'test/scenario/fixtures/mine.mjs'
const ONE = ['--design', 'vma-lock', '--arch', 'x86_64']
const UNSAFE = ['smaps-under-rcu-vs-munmap', ...ONE, '--freeing', 'immediate']
const directory = mkdtempSync(join(tmpdir(), 'gracewalk-test-'))
afterAll(() => rmSync(directory, { recursive: true }))

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function gracewalk(...args: string[]): Ran {
  const env = { ...process.env, NO_COLOR: '1', TMPDIR: directory }
  return spawnSync(process.execPath, [MAIN, ...args], { cwd: ROOT, encoding: 'utf8', env })
}

interface CheckJson {
  readonly model: string
  readonly asExpected: boolean
  readonly results: readonly { readonly scenario: string; readonly verdict: string; readonly asExpected: boolean; readonly seed?: number }[]
  readonly counterexample: { readonly replay: { readonly path: readonly number[] } } | null
}

const json = (ran: Ran): CheckJson => JSON.parse(ran.stdout) as CheckJson

describe('gracewalk check', () => {
  it('takes a * for any part of a name', () => {
    const ran = gracewalk('check', 'spin*exc*', 'sp*on', '--mode', 'random', '--executions', '2', '--json', '--no-variants')
    expect([...new Set(json(ran).results.map(({ scenario }) => scenario))]).toEqual(['spinlock-exclusion'])
    expect(gracewalk('check', 'pinlock*').status).toBe(2)
    expect(gracewalk('check', '.*').status).toBe(2)
  })

  it('takes a * for all variants of a scenario', () => {
    const ran = gracewalk('check', 'spinlock-exclusion:*', '--mode', 'random', '--executions', '2', '--json')
    const { variants = [] } = SCENARIOS.find(({ name }) => name === 'spinlock-exclusion') ?? {}
    expect(json(ran).results).toHaveLength(1 + variants.length)
  })

  it('lists the scenarios, their questions and variants', () => {
    const { status, stdout } = gracewalk('check', '--list')
    expect(status).toBe(0)
    for (const { name, question, asked } of SCENARIOS) {
      expect(stdout).toContain(`\n${name}  (`.replace(/^\n(?=fault-vs-munmap {2})/, ''))
      expect(stdout).toContain(`    ${question}\n    asked: ${asked}\n`)
    }
    expect(stdout).toMatch(/^ {4}spinlock-exclusion:test-then-set {2}a waiter that/m)
    expect(stdout).not.toContain('\u001b')
    const listed = JSON.parse(gracewalk('check', '--list', '--json').stdout) as { scenarios: { name: string; combinations: number }[] }
    expect(listed.scenarios).toHaveLength(SCENARIOS.length)
    expect(listed.scenarios[0]).toMatchObject({ name: 'fault-vs-munmap', cpus: 2, combinations: 5, variants: [] })
    expect(gracewalk('check', '--list', '--file', MINE).stdout).toMatch(/^counter {2}\(2 CPUs, 1 combination\)$/m)
  })

  it('lists those that are named', () => {
    const names = gracewalk('check', '--list', 'pae-pte-*', 'fault-vs-munmap').stdout.match(/^[a-z0-9-]+/gm)
    expect(names).toEqual(SCENARIOS.map(({ name }) => name).filter((name) => name.startsWith('pae-pte-') || name === 'fault-vs-munmap'))
    expect(gracewalk('check', '--list', 'fault-vs-munmapp')).toMatchObject({ status: 2, stderr: expect.stringMatching(/did you mean/) })
  })

  it('says of no option that it is on where it is not', () => {
    for (const command of ['check', 'run', 'matrix']) expect(gracewalk(command, '--help').stdout).not.toContain('default: true')
  })

  it.each([
    [['fault-vs-munmapp'], "unknown scenario 'fault-vs-munmapp', did you mean 'fault-vs-munmap'?"],
    [['zzz*'], "no scenario has a name like 'zzz*'"],
    [['--preemptions', '-1'], "'-1' is taken for an option: no value may be negative"],
    [['spinlock-exclusion:test-than-set'], "unknown variant 'test-than-set' of spinlock-exclusion, did you mean 'test-then-set'?"],
    [['fault-vs-munmap:none'], 'scenario fault-vs-munmap has no variants'],
    [['fault-vs-munmap', '--design', 'vma-lok'], "unknown design 'vma-lok', did you mean 'vma-lock'?"],
    [['fault-vs-munmap', '--arch', 'x86'], "unknown arch 'x86'"],
    [['fault-vs-munmap', '--freeing', 'never'], "unknown freeing 'never'"],
    [['two-deferred-fragments', '--arch', 'x86_64'], 'no scenario asks its question of the combination'],
    [
      ['anon-vma-taken-over:used-by-somebody', '--arch', 's390'],
      'a variant is checked on one combination: anon-vma-taken-over:used-by-somebody [',
    ],
    [['--time', 'soon'], "--time must be seconds, or a number with s, m or h, not 'soon'"],
    [['--preemtions', '1'], "unknown option '--preemtions', did you mean '--preemptions'?"],
    [['--save', 'x.json', 'fault-vs-munmap'], '--save keeps the violation of one check, not of 5'],
    [['--file', 'nothing-here.mjs'], 'cannot import nothing-here.mjs: there is no such file'],
    [['--file', 'biome.json'], 'cannot import biome.json'],
    [['--replay', 'nothing-here.json'], 'cannot read nothing-here.json'],
    [['--replay', 'package.json'], 'package.json: not a replay file'],
    [['throws', '--file', MINE], 'scenario throws: setUp threw TypeError'],
    [['no-steps', '--file', MINE, '--jobs', '2'], 'scenario no-steps: nothing was explored'],
    [['closure', '--file', MINE], 'closure.txt:5:10: '],
  ])('refuses %j with one sentence and exit code 2', (args, sentence) => {
    const { status, stdout, stderr } = gracewalk('check', ...args)
    expect(stderr).toContain(sentence)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })

  it.each([
    [{ time: '0' }, '--time must be seconds'],
    [{ time: -1 }, '--time must be seconds'],
    [{ time: '5 days' }, '--time must be seconds'],
    [{ jobs: 0 }, "--jobs must be a whole number from 1 to 64, not '0'"],
    [{ preemptions: 1.5 }, "--preemptions must be a whole number from 0 to 8, not '1.5'"],
    [{ states: 10 }, '--states must be a whole number from 1000'],
    [{ executions: 0 }, '--executions must be a whole number from 1'],
    [{ seed: 'x' }, '--seed must be a whole number'],
    [{ mode: 'fast' }, '--mode must be check or states or'],
  ])('refuses the options %j', (raw, sentence) => {
    expect(() => checkOptions(raw, 2)).toThrow(sentence)
  })

  it('reads times, and shares a check among Workers only where jobs are given', () => {
    expect(['20', '20s', '0.5m', '1h'].map((time) => checkOptions({ time }, 2).time)).toEqual([20_000, 20_000, 30_000, 3_600_000])
    expect(checkOptions({}, 4)).toMatchObject({
      time: 60_000,
      jobs: 4,
      share: false,
      preemptions: 2,
      mode: 'check',
      seed: 1,
      variants: true,
    })
    expect([checkOptions({ jobs: 2 }, 4).share, checkOptions({ jobs: 1 }, 4).share]).toEqual([true, false])
  })

  it('proves: question, verdict, what was seen, and exit code 0', () => {
    const { status, stdout } = gracewalk('check', 'spinlock-exclusion')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^Does a spinlock keep apart .*\n\nspinlock-exclusion \[mmap-lock, x86_64, rcu-batch\]: proved, under SC\n/)
    expect(stdout).toMatch(
      /\nexplored [\d ]+ runs with [\d ]+ steps .*\nsaw \d+ agents, \d+ yield points, [\d ]+ locations, \d+ of them shared\n/,
    )
    expect(stdout).toMatch(/\nas expected: safe\n$/)
    expect(stdout).not.toContain('\u001b')
  })

  it('ends with 1 when a verdict is not what is expected, and with 0 for a violation that is', () => {
    const wrong = gracewalk('check', 'counter-loses', '--file', MINE)
    expect(wrong.status).toBe(1)
    expect(wrong.stdout).toMatch(/violation, under SC[\s\S]*CPU 0 +CPU 1[\s\S]*addOne:6[\s\S]*\nnot as expected: safe is expected\n$/)
    const expected = gracewalk('check', 'counter-known-to-lose', '--file', MINE)
    expect([expected.status, expected.stdout]).toEqual([0, expect.stringMatching(/\nas expected: unsafe\n$/)])
    expect(gracewalk('check', 'counter-lost-otherwise', '--file', MINE).status).toBe(1)
    const bounded = gracewalk('check', 'counter-loses', '--file', MINE, '--mode', 'bounded', '--preemptions', '0')
    expect([bounded.status, bounded.stdout]).toEqual([
      0,
      expect.stringMatching(/: no violation up to 0 preemptions, under SC\n[\s\S]*not proved: /),
    ])
  })

  it('prints several as a table, and how to see what is not as expected', () => {
    const { status, stdout } = gracewalk('check', 'counter*', '--file', MINE)
    expect(status).toBe(1)
    const rows = stdout.split('\n').map((line) => line.replace(/\s+/g, ' '))
    expect(rows[0]).toBe('scenario design arch freeing verdict states depth s')
    expect(rows[1]).toMatch(/^counter mmap-lock x86_64 rcu-batch proved \d+ \d+ /)
    expect(rows[2]).toMatch(/^counter-loses .* violation \(!\) /)
    expect(rows[3]).toMatch(/^counter-known-to-lose .* violation, as expected /)
    expect(stdout).toMatch(/4 verdicts under SC: 1 proved, 0 not proved, 3 violations\n1 of 2 that are expected to be safe are proved\n/)
    expect(stdout).toMatch(/not as expected: counter-lost-otherwise .* fails in another way than expected: an addition was lost/)
    expect(stdout).toMatch(
      /to see it: gracewalk check counter-loses --design mmap-lock --arch x86_64 --freeing rcu-batch --file test\S+\n$/,
    )
  })

  it('gives machines one JSON object', () => {
    const ran = gracewalk('check', 'counter', 'counter-loses', '--file', MINE, '--json')
    expect(ran.status).toBe(1)
    expect(json(ran)).toMatchObject({
      gracewalk: expect.any(String),
      model: 'SC',
      asExpected: false,
      counterexample: null,
      results: [
        {
          scenario: 'counter',
          variant: null,
          design: 'mmap-lock',
          arch: 'x86_64',
          freeing: 'rcu-batch',
          verdict: 'proved',
          asExpected: true,
        },
        { scenario: 'counter-loses', verdict: 'violation', expected: 'safe', asExpected: false, message: 'an addition was lost' },
      ],
    })
    const one = json(gracewalk('check', 'counter-loses', '--file', MINE, '--json'))
    expect(one.counterexample).toMatchObject({ replay: { scenario: 'counter-loses', path: expect.any(Array) } })
  })

  it('says that nothing is proved when a budget ends it', () => {
    const { status, stdout } = gracewalk('check', 'fault-vs-munmap', ...ONE, '--executions', '30')
    expect(status).toBe(1)
    expect(stdout).toMatch(/: stopped, under SC\n[\s\S]*\nnot proved: the budget of 30 executions is spent/)
    expect(stdout).not.toMatch(/: proved/)
  })

  it('chooses executions by the seed', () => {
    const steps = (seed: string): string => {
      const { stdout } = gracewalk('check', 'fault-vs-munmap', ...ONE, '--mode', 'random', '--executions', '2', '--seed', seed)
      return /with ([\d ]+) steps/.exec(stdout)?.[1] ?? ''
    }
    expect(steps('1')).toBe(steps('1'))
    expect(new Set(['1', '2', '3'].map(steps)).size).toBeGreaterThan(1)
  })

  it('keeps a violation and reproduces it exactly', () => {
    const file = join(directory, 'violation.json')
    const saved = gracewalk('check', ...UNSAFE, '--save', file)
    expect(saved.status).toBe(0)
    expect(saved.stdout).toContain(`kept in ${file}: gracewalk check --replay ${file}`)
    expect(saved.stdout).toMatch(/a test that pins it:\n\n {2}import \{ replayScenario \} from 'gracewalk\/check'/)
    expect(
      Math.max(
        ...saved.stdout
          .split('a test that pins it')[0]!
          .split('\n')
          .slice(6)
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80)
    const replayed = gracewalk('check', '--replay', file)
    expect([replayed.status, replayed.stdout]).toEqual([0, expect.stringMatching(/\nreproduced exactly\n$/)])
    const columns = (text: string): string => text.slice(text.indexOf('\nCPU 0'), text.indexOf('*** '))
    expect(columns(replayed.stdout)).toBe(columns(saved.stdout))
    expect(JSON.parse(gracewalk('check', '--replay', file, '--json').stdout)).toMatchObject({ same: true, counterexample: {} })

    const changed = JSON.parse(readFileSync(file, 'utf8')) as { failure: string; scenario: string; path: number[] }
    const altered = (change: object): Ran => {
      writeFileSync(join(directory, 'altered.json'), JSON.stringify({ ...changed, ...change }))
      return gracewalk('check', '--replay', join(directory, 'altered.json'))
    }
    expect(altered({ failure: 'something else' })).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/the code has changed: every step/),
    })
    expect(altered({ path: [0, 3] })).toMatchObject({ status: 1, stdout: expect.stringMatching(/the code has changed: step \d+ was/) })
    expect(altered({ path: [9, 3] })).toMatchObject({ status: 1 })
    for (const [damage, sentence] of [
      [{ path: 'x' }, 'the replay file is damaged'],
      [{ gracewalkReplay: 2 }, 'the replay file has format 2'],
      [{ scenario: 'none' }, "is of scenario 'none', which is not here: give its file with --file"],
      [{ scenario: 'fault-vs-munmap:x' }, 'has no variant x'],
      [{ combination: { design: 'x', arch: 'x86_64', freeing: 'ipi' } }, "there is no design 'x'"],
    ] as const) {
      const { status, stderr, stdout } = altered(damage)
      expect(stderr).toContain(sentence)
      expect(stderr.trim().split('\n')).toHaveLength(1)
      expect([status, stdout]).toEqual([2, ''])
    }
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 100))
    expect(gracewalk('check', '--replay', file)).toMatchObject({ status: 2, stderr: expect.stringMatching(/not a replay file/) })
  })

  it('says when there is nothing to keep, and where it cannot be written', () => {
    const file = join(directory, 'safe.json')
    const { status, stdout } = gracewalk('check', 'counter', '--file', MINE, '--save', file)
    expect([status, stdout]).toEqual([0, expect.stringMatching(/nothing is kept in .*safe\.json: there is no violation/)])
    expect(existsSync(file)).toBe(false)
    const nowhere = gracewalk('check', 'counter-loses', '--file', MINE, '--save', join(directory, 'no', 'where.json'))
    expect([nowhere.status, nowhere.stderr]).toEqual([
      2,
      expect.stringMatching(/^gracewalk: cannot write .*where\.json: there is no directory .*no$/m),
    ])
    expect(nowhere.stdout).toBe('')
  })

  it('survives a reader that goes away', async () => {
    const child = spawn(process.execPath, [MAIN, 'check', '--list'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let errors = ''
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    child.stdout.once('data', () => child.stdout.destroy())
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(errors).toBe('')
    expect(code).toBe(0)
  })

  it('shows on standard error how far it has come, and ends at Ctrl-C with code 130 and without leaving anything', async () => {
    const env = { ...process.env, TMPDIR: directory }
    // The variant has a kernel of its own on the disk.
    const args = [MAIN, 'check', 'srcu-*', '--jobs', '1', '--mode', 'random', '--time', '20']
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const line = await new Promise<string>((resolve) => child.stderr.once('data', (data: Buffer) => resolve(data.toString())))
    expect(line).toMatch(/^srcu-\S+ \[[a-z-]+, x86_64, rcu-batch\]: [\d ]+ runs at [\d ]+\/s, depth \d+: 0%\n/)
    let errors = ''
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    child.kill('SIGINT')
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(code).toBe(130)
    expect(errors).toBe('gracewalk: interrupted\n')
    expect(readdirSync(directory).filter((name) => name.startsWith('gracewalk-'))).toEqual([])
  })
})

describe('gracewalk ablate', () => {
  const listed = JSON.parse(gracewalk('ablate', '--list', '--json').stdout) as {
    sites: { id: string; file: string; line: number; operator: string; text: string }[]
  }
  const site = listed.sites.find(({ file, text }) => file === 'pagetable/tlb-flush.ts' && text.startsWith('shootDown'))!

  it('lists the sites', () => {
    const ofOne = JSON.parse(gracewalk('ablate', 'srcu-reader-vs-updater', '--list', '--json').stdout) as typeof listed
    // Only what that scenario executes: nothing of page tables, all of SRCU's read side, and one place of waiting.
    expect(ofOne.sites.length).toBeLessThan(40)
    const ids = ofOne.sites.map(({ id }) => id)
    expect(ids.filter((id) => !/^(sync|machine|syscall|softirq)/.test(id))).toEqual([])
    for (const operator of ['publish', 'wait', 'recheck'])
      expect(ids.some((id) => id.startsWith('sync/srcu.ts:') && id.endsWith(operator))).toBe(true)
    expect(gracewalk('ablate', 'srcu-reader-vs-updater', '--list', '--site', 'pagetable')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('execute none of these sites: srcu-reader-vs-updater'),
    })
    const { status, stdout } = gracewalk('ablate', '--list', '--operator', 'flush')
    expect(status).toBe(0)
    expect(stdout).toContain(`${site.id} `)
    expect(stdout.trim().split('\n')).toHaveLength(1 + listed.sites.filter(({ operator }) => operator === 'flush').length)
    expect(listed.sites.length).toBeGreaterThan(100)
  })

  it('has the sites that help and pages name', () => {
    const pages = ['README.md', 'docs/checking.md', 'docs/STATUS.md'].map((page) => readFileSync(join(ROOT, page), 'utf8'))
    const named = [gracewalk('--help').stdout, ...pages].flatMap((text) =>
      [...text.matchAll(/--site ([a-z/-]+\.ts:\d+)/g)].map(([, site]) => site),
    )
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((site) => !listed.sites.some(({ file, line }) => `${file}:${line}` === site))).toEqual([])
  })

  it('changes one site, and says which scenario notices', () => {
    const place = `src/kernel/${site.file}:${site.line}`
    const { status, stdout } = gracewalk('ablate', '--site', place, 'user-access-vs-munmap', '--json')
    expect(status).toBe(0)
    const { model, results } = JSON.parse(stdout) as { model: string; results: { killer: { path: number[] } }[] }
    expect(model).toBe('SC')
    expect(results).toMatchObject([
      {
        site: { id: site.id },
        verdict: 'load-bearing',
        killer: { cell: expect.stringMatching(/^user-access-vs-munmap \[/), message: expect.any(String) },
      },
    ])
    expect(results[0]!.killer.path.length).toBeGreaterThan(0)
  })

  it('says of what no scenario given executes that it was not executed', () => {
    const { stdout } = gracewalk('ablate', '--site', site.id, 'spinlock-exclusion')
    expect(stdout).toMatch(/not executed/)
    expect(stdout).not.toMatch(/load-bearing:|survived/)
  })

  it.each([
    [
      ['--site', 'pagetable/tlb-flush.ts:1'],
      /^gracewalk: no site at 'pagetable\/tlb-flush\.ts:1': pagetable\/tlb-flush\.ts has sites in lines 3\d, .*\n$/,
    ],
    [['--site', 'nowhere.ts:1'], /^gracewalk: no site at 'nowhere\.ts:1': gracewalk ablate --list shows them\n$/],
    [['--operator', 'lok'], /^gracewalk: unknown operator 'lok', did you mean 'lock'\?\n$/],
    [['fault-vs-munmapp'], /^gracewalk: unknown scenario 'fault-vs-munmapp', did you mean 'fault-vs-munmap'\?.*\n$/],
    [['--site-time', 'x'], /^gracewalk: --site-time must be seconds.*\n$/],
  ])('refuses %j with one sentence and exit code 2', (args, sentence) => {
    const { status, stdout, stderr } = gracewalk('ablate', ...args)
    expect(stderr).toMatch(sentence)
    expect([status, stdout]).toEqual([2, ''])
  })
})
