// `--design ./file.ts` on the command line: run, check, replay and ablate with a design of the user's own; what is wrong with a
// file is one sentence and exit code 2.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkOptions } from '../../src/cli/check-options.ts'
import { designNames } from '../../src/cli/design-option.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { matrixTables } from '../../src/scenario/runner/matrix.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'dist/cli/main.js')
const STRACE = join(ROOT, 'examples/recordings/threads.strace')

let project: string
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'gracewalk-'))
  for (const step of ['step-1.ts', 'step-2.ts', 'step-3.ts']) cpSync(join(ROOT, 'examples/my-design', step), join(project, step))
  writeFileSync(join(project, 'wrong.ts'), readFileSync(join(project, 'step-1.ts'), 'utf8').replace('  vmaFree,\n', ''))
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

function gracewalk(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { cwd: project, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })
}

const MISSING = "./wrong.ts:26:14: the member 'vmaFree' is missing"
const TWO = ['check', 'fault-vs-munmap', '--design', './step-2.ts', '--arch', 'x86_64']

describe('--design', () => {
  it('takes names and files, each once, in their order', () => {
    const known = ['mmap-lock', 'vma-lock']
    expect(designNames({}, known)).toBeUndefined()
    expect(designNames({ design: 'vma-lock, ./a.ts,vma-lock,a.ts' }, known)).toEqual(['vma-lock', './a.ts'])
    expect(designNames({ design: ['./a.ts', 'all'] }, known)).toEqual(['./a.ts', 'mmap-lock', 'vma-lock'])
    expect(() => designNames({ design: './a.ts,vma-lok' }, known)).toThrow("unknown design 'vma-lok', did you mean 'vma-lock'?")
    expect(runOptions({ design: 'mmap-lock,./a.ts' }).designs).toEqual(['mmap-lock', './a.ts'])
    expect(checkOptions({ design: './a.ts' }, 1).designs).toEqual(['./a.ts'])
  })

  it.each([
    [['run', STRACE, '--design', './wrong.ts'], MISSING],
    [['run', STRACE, '--design', 'mmap-lock,./none.ts'], 'design ./none.ts: there is no such file'],
    [['check', 'fault-vs-munmap', '--design', './wrong.ts'], MISSING],
    [['check', 'fault-vs-munmap', '--design', 'none.ts'], 'design none.ts: there is no such file'],
    [
      ['check', 'speculative-fault-vs-munmap', '--design', './step-1.ts'],
      'scenario speculative-fault-vs-munmap is about speculative, speculative-irq: it is not asked of ./step-1.ts',
    ],
    [['check', 'fault-vs-munmap:none', '--design', './step-1.ts'], 'scenario fault-vs-munmap has no variants'],
    [['ablate', '--design', './wrong.ts'], MISSING],
    [['ablate', '--design', 'vma-lock'], "--design must be the file of a design of your own, not 'vma-lock'"],
    [['ablate', '--design', './step-3.ts', '--site', 'step-3.ts:44'], "no site at 'step-3.ts:44': step-3.ts has sites in lines 45, 46, "],
    [['ablate', '--site', './step-3.ts:45'], '--design FILE those of a design of your own'],
  ])('refuses %j with one sentence and exit code 2', (args, sentence) => {
    const { status, stdout, stderr } = gracewalk(...args)
    expect(stderr).toContain(sentence)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })

  it('runs a recording on it beside a built-in design, on two Workers, verified', () => {
    const { status, stdout } = gracewalk('run', STRACE, '--design', 'mmap-lock,./step-3.ts', '--arch', 'x86_64', '--touch', 'first')
    expect(stdout).toMatch(/^\.\/step-3\.ts, x86_64, in each run: raised \S/m)
    expect(stdout).toContain('all 2 combinations that ran are verified')
    expect(status).toBe(0)
  })

  it('asks it what is asked of any design, and says how much is left out', () => {
    const { status, stdout } = gracewalk(
      'check',
      'memory-runs-out-in-s*',
      'spinlock-exclusion',
      '--design',
      './step-3.ts',
      '--arch',
      'x86_64',
    )
    expect(stdout).toMatch(/^memory-runs-out-in-split \[\.\/step-3\.ts, x86_64, rcu-batch\]: proved, under SC$/m)
    expect(stdout).toMatch(/\n\nleft out, because they name the designs that they are about: 1 scenario \(gracewalk check --list\)\n$/)
    expect(status).toBe(0)
    const json = gracewalk('check', 'memory-runs-out-in-s*', 'spinlock-exclusion', '--design', './step-3.ts', '--arch', 'x86_64', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({ asExpected: true, leftOut: ['spinlock-exclusion'] })
  })

  it('asks it by name what vma-lock is asked, too', () => {
    const { status, stdout } = gracewalk('check', 'fault-vs-reuse-by-other-mm', '--design', './step-3.ts', '--arch', 'x86_64')
    expect(stdout).toMatch(/^fault-vs-reuse-by-other-mm \[\.\/step-3\.ts, x86_64, rcu-batch\]: proved, under SC$/m)
    expect(stdout).not.toContain('left out')
    expect(status).toBe(0)
  })

  it('finds what is wrong with one, in lines of its file, and replays it until the file is another', () => {
    const { status, stdout } = gracewalk(...TWO, '--save', 'race.json')
    expect(status).toBe(1)
    expect(stdout).toMatch(/page 0x11 is in the page tables but in no mapping/)
    const line = (text: string): number => {
      const lines = readFileSync(join(project, 'step-2.ts'), 'utf8').split('\n')
      return lines.findIndex((one) => one.includes(text)) + 1
    }
    const places = ['raiseHand:', 'mmapWriteLocked:'].map((fn) =>
      [...stdout.matchAll(new RegExp(`${fn}(\\d+)`, 'g'))].map(([, at]) => Number(at)),
    )
    expect(places).toEqual([
      [line('if (readOnce(mm + WRITER) !== 0) return false'), line('writeOnce(thisCpu() + HAND, mm)')],
      [line('writeOnce(mm + WRITER, 1)'), line('if (smpLoadAcquire(hand) !== mm) continue')],
    ])
    expect(stdout).toContain('  step-2.ts: raiseHand, mmapWriteLocked')
    expect(stdout).toMatch(/not as expected: safe is expected\n$/)
    expect(JSON.parse(readFileSync(join(project, 'race.json'), 'utf8'))).toMatchObject({
      combination: { design: './step-2.ts' },
      designHash: expect.stringMatching(/^[0-9a-f]{16}$/),
    })

    const replay = (): string[] => {
      const { status: exit, stdout: said } = gracewalk('check', '--replay', 'race.json')
      return [String(exit), said.trim().split('\n').at(-1) as string]
    }
    expect(replay()).toEqual(['0', 'reproduced exactly'])
    const path = join(project, 'step-2.ts')
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, `// One line more.\n${text}`)
    expect(replay()).toEqual([
      '0',
      expect.stringMatching(/^reproduced exactly; \.\/step-2\.ts has changed since this was saved \(\w{16} then, \w{16} now\)$/),
    ])
    writeFileSync(path, readFileSync(join(project, 'step-3.ts'), 'utf8'))
    expect(replay()).toEqual([
      '1',
      expect.stringMatching(/^the code has changed: step \d+ was .* step-2\.ts; .*; \.\/step-2\.ts has changed since/),
    ])
    rmSync(path)
    expect(gracewalk('check', '--replay', 'race.json')).toMatchObject({
      status: 2,
      stderr: 'gracewalk: design ./step-2.ts: there is no such file\n',
    })
  })

  it('has a row of its own in the matrix', () => {
    const tables = matrixTables(SCENARIOS, { designs: ['mmap-lock', './step-3.ts'], archs: ['x86_64'], freeing: ['rcu-batch'] })
    const [first] = tables.filter(({ title }) => title.startsWith('Designs on architectures'))
    expect(first?.rows.map(({ name, cells }) => [name, cells.map((cell) => cell?.expected)])).toEqual([
      ['mmap-lock', ['safe']],
      ['./step-3.ts', ['safe']],
    ])
    expect(gracewalk('matrix', '--design', './wrong.ts')).toMatchObject({ status: 2, stderr: expect.stringContaining(MISSING) })
  })

  it('takes away a line of it, and sees that it is needed', () => {
    const { status, stdout, stderr } = gracewalk(
      'ablate',
      'fault-vs-munmap',
      '--design',
      './step-3.ts',
      '--site',
      './step-3.ts:97',
      '--operator',
      'wait',
    )
    expect(stderr).not.toMatch(/^(?:gracewalk: |.*Error)/m)
    expect(stdout).toMatch(/^step-3\.ts:97:wait +mmapWriteLocked: the loop that waits is left out +load-bearing +fault-vs-munmap/m)
    expect(status).toBe(0)
  })
})
