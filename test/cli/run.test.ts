// The command line as a user meets it: another process, its output, its exit code.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { RawOptions } from '../../src/cli/option-values.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { architectures } from '../../src/kernel/arch/architectures.ts'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const STRACE = 'examples/recordings/gcc.strace'
const QUICK = ['--design', 'vma-lock', '--arch', 'x86_64', '--touch', 'first']
const directory = mkdtempSync(join(tmpdir(), 'gracewalk-'))
afterAll(() => rmSync(directory, { recursive: true }))

function gracewalk(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '' } })
}

describe('gracewalk', () => {
  it('without arguments shows help with three examples whose files are there', () => {
    const { status, stdout } = gracewalk()
    expect(status).toBe(0)
    const examples = stdout.split('\n').filter((line) => line.startsWith('  $ gracewalk run '))
    expect(examples).toHaveLength(3)
    for (const example of examples) expect(gracewalk('run', example.split(' ')[5]!, '--cpus', '0').stderr).toMatch(/--cpus must be/)
  })

  it('says its version, and what run takes', () => {
    expect(gracewalk('--version').stdout).toMatch(/^gracewalk\/\d+\.\d+\.\d+/)
    expect(gracewalk('run', '--help').stdout).toMatch(/--page-map <how>/)
  })

  it.each([
    [['rum', STRACE], "unknown command 'rum', did you mean 'run'?"],
    [['run', STRACE, '--desing', 'vma-lock'], "unknown option '--desing', did you mean '--design'?"],
    [['run', STRACE, '--design', 'vma-lok'], "unknown design 'vma-lok', did you mean 'vma-lock'?"],
    [['run', STRACE, '--arch', 'sparc'], "unknown arch 'sparc'"],
    [['run', STRACE, '--cpus', 'two'], "--cpus must be a whole number from 1 to 64, not 'two'"],
    [['run', STRACE, '--touch', 'some'], '--touch must be none, first, all or sample:N'],
    [['run', STRACE, '--memory', 'much'], '--memory must be bytes'],
    [['run', STRACE, '--page-map', 'shrink'], '--page-map must be scale or round'],
    [['run', STRACE, '--memory', '1', ...QUICK], 'memory must be a whole number'],
    [['run'], 'missing required args'],
    [['run', 'no-such-file'], 'no-such-file'],
    [['run', 'package.json'], 'package.json is JSON'],
    [['run', 'README.md'], 'README.md is Markdown text'],
    [['run', 'test/linux/driver.c'], 'driver.c is source code'],
    [['run', 'LICENSE'], 'LICENSE is not a recording'],
  ])('refuses %j with one sentence and exit code 2', (args, sentence) => {
    const { status, stdout, stderr } = gracewalk(...args)
    expect(stderr).toContain(sentence)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
})

describe('gracewalk run', () => {
  it('prints what was read, one comparison, and verdicts, in 120 columns and without colour', () => {
    const { status, stdout } = gracewalk('run', STRACE, '--touch', 'first', '--arch', 'x86_64')
    expect(status).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/gcc\.strace: strace, 180 lines/)
    expect(stdout).toMatch(/--touch first, assumed/)
    expect(stdout).toMatch(/assumed\s+faults\/s|assumed +assumed/)
    expect(stdout).toMatch(/vma-lock against mmap-lock on x86_64: faults\/s \d/)
    expect(lines.filter((line) => /^(mmap-lock|rcu-fault|speculative|srcu|vma-lock), x86_64: verified/.test(line))).toHaveLength(5)
    expect(stdout.trim().endsWith('all 5 combinations that ran are verified')).toBe(true)
    expect(stdout).toMatch(/^speculative, x86_64, in each run: single-threaded \d/m)
    expect(stdout).not.toContain('\u001b')
  })

  it('runs three architectures, or all of them if asked', () => {
    const archs = (raw: RawOptions): readonly string[] => runOptions(raw).archs
    expect(archs({})).toEqual(['x86_64', 'powerpc64-hash-64k', 'x86-pae'])
    expect(archs({ arch: 'all' })).toEqual(architectures.map(({ name }) => name))
    expect(archs({ arch: 's390,x86_64' })).toEqual(['s390', 'x86_64'])
  })

  it('frees page tables by the policies that are asked for, and says which', { timeout: 120_000 }, () => {
    const run = (...args: string[]) => gracewalk('run', STRACE, '--design', 'vma-lock', '--arch', 's390', '--touch', 'first', ...args)
    const { status, stdout } = run('--freeing', 'pte-free-defer-head-bits,rcu-batch')
    expect(status).toBe(0)
    const verified = stdout.split('\n').flatMap((line) => /^(.*): verified: .*nothing leaked/.exec(line)?.[1] ?? [])
    expect(verified).toEqual(['vma-lock, s390, pte-free-defer-head-bits', 'vma-lock, s390'])
    expect(run('--freeing', 'pte-free-defer-head-bit')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/pte-free-defer-head-bits/),
    })
  })

  it('gives machines one JSON object', () => {
    const { status, stdout } = gracewalk('run', STRACE, ...QUICK, '--json')
    expect(status).toBe(0)
    const result = JSON.parse(stdout) as { combinations: { design: string; verdict: { verified: boolean }; durations: object }[] }
    expect(result).toMatchObject({ touch: { policy: 'first', assumed: true }, recording: { format: 'strace', lines: 180 } })
    expect(result.combinations).toMatchObject([{ design: 'vma-lock', arch: 'x86_64', verdict: { verified: true, findings: [] } }])
    expect(result.combinations[0]!.durations).toMatchObject({ fault: { count: expect.any(Number) }, mmap: { p50Ns: expect.any(Number) } })
  })

  it('survives a reader that goes away', async () => {
    const child = spawn(process.execPath, [MAIN, 'run', STRACE, ...QUICK], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let errors = ''
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    child.stdout.once('data', () => child.stdout.destroy())
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(errors).not.toMatch(/EPIPE|Error/)
    expect(code).toBe(0)
  })

  it('says why a recording does not fit, and that nothing was run', () => {
    const file = join(directory, 'huge.strace')
    const size = 2 ** 46
    const line = (time: number, call: string, result: string): string => `100 ${time}.000000 ${call} = ${result} <0.000010>\n`
    writeFileSync(
      file,
      line(1, `mmap(NULL, ${size}, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)`, '0x100000000000') +
        line(2, 'munmap(0x100000000000, 4096)', '0'),
    )
    const { status, stderr, stdout } = gracewalk('run', file, ...QUICK)
    expect(stdout).toMatch(/skipped: it uses \d+ pieces/)
    expect(stderr).toMatch(/nothing was run: it uses/)
    expect(status).toBe(2)
  })

  it('stops at Ctrl-C with code 130', async () => {
    const recording = 'examples/recordings/threads.tracepoints.perf-script.gz'
    const child = spawn(process.execPath, [MAIN, 'run', recording], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let errors = ''
    // The first line there is the first of the progress.
    child.stderr.once('data', () => child.kill('SIGINT'))
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(code).toBe(130)
    expect(errors).toMatch(/interrupted: the results are partial/)
  })
})
