// The half hour of examples/my-design: what is printed there is what stands in the files, and every command says what it is said to
// say, up to counts and times. The files compile with the settings that are given.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readModule } from '../../src/compile/module.ts'
import { parseSource } from '../../src/compile/source.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const EXAMPLE = join(ROOT, 'examples/my-design')
const README = readFileSync(join(EXAMPLE, 'README.md'), 'utf8')
const STEPS = ['step-1.ts', 'step-2.ts', 'step-3.ts'] as const
const texts = new Map(STEPS.map((step) => [step, readFileSync(join(EXAMPLE, step), 'utf8')]))

const blocks = (language: string): string[] =>
  [...README.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map((match) => match[1]!)
/** A command, and the output below it. */
const commands = blocks('console').map((block) => {
  const [, command, output] = /^\$ npx gracewalk (.*)\n([\s\S]*)$/.exec(block)!
  return [command!, output!] as const
})

/** Places in the steps: their lines count, those of the kernel do not. */
const OWN = ['raiseHand', 'lowerHand', 'handleFault', 'mmapWriteLocked', 'mmapWriteUnlocking']

/** `line` with numbers that depend on the kernel or on the machine left open; an `…` stands for anything. */
function pattern(line: string): RegExp {
  const kept = line.replace(/(\w+):(\d+)/g, (whole, name: string) =>
    OWN.includes(name) || name === 'ts' ? whole.replace(/\d/g, (d) => `§${d}`) : whole,
  )
  const escaped = kept.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const open = escaped.replace(/\b0x[0-9a-f]{3,}|(?<!§)\d+/g, (number) => (/^0x/.test(number) ? '0x[0-9a-f]+' : '\\d+'))
  return new RegExp(`^${open.replaceAll('§', '').replace(/ +/g, ' +').replaceAll('…', '.*')}$`)
}

/** Whether `output` is what `promised` says: runs of its lines in order, with anything where it has a line `…`. */
function expectOutput(output: string, promised: string): void {
  const lines = output.trimEnd().split('\n')
  let at = 0
  for (const [i, run] of promised.trimEnd().split(/^…\n?/m).entries()) {
    const wanted = run.trimEnd() === '' ? [] : run.replace(/\n$/, '').split('\n').map(pattern)
    if (wanted.length === 0) continue
    const found = lines.findIndex((_, start) => start >= at && wanted.every((one, k) => one.test(lines[start + k] ?? '')))
    expect(found, `${run}\nis not in\n${lines.slice(at).join('\n')}`).toBeGreaterThanOrEqual(i === 0 ? 0 : at)
    if (i === 0) expect(found).toBe(0)
    at = found + wanted.length
  }
  if (!/^…\n$/m.test(promised.slice(-2))) expect(lines.slice(at)).toEqual([])
}

describe('examples/my-design/README.md', () => {
  let project: string
  beforeAll(() => {
    // As in a project of one’s own, beside the recordings.
    project = mkdtempSync(join(tmpdir(), 'gracewalk-'))
    mkdirSync(join(project, 'node_modules'))
    symlinkSync(ROOT, join(project, 'node_modules/gracewalk'))
    cpSync(EXAMPLE, join(project, 'my-design'), { recursive: true })
    symlinkSync(join(ROOT, 'examples/recordings'), join(project, 'recordings'))
  })
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, args, { cwd: join(project, 'my-design'), encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })

  it('shows the files as they are', () => {
    const shown = blocks('ts')
    expect(shown).toHaveLength(6)
    expect(texts.get('step-1.ts')).toBe(`${(texts.get('step-1.ts') as string).split('\n')[0]}\n${shown[0]}`)
    for (const text of shown.slice(1, -1)) expect(texts.get('step-2.ts')).toContain(text)
    expect(texts.get('step-3.ts')).toContain(shown.at(-1))
    expect(blocks('mjs')).toEqual([readFileSync(join(EXAMPLE, 'two-faults.mjs'), 'utf8')])
    // The third step is the second but for that one function and what the file is.
    const functions = (step: (typeof STEPS)[number]): Map<string, string> => {
      const { functions: all, source } = readModule(parseSource(step, texts.get(step) as string))
      return new Map([...all].map(([name, { node }]) => [name, source.text.slice(node.start, node.end)]))
    }
    const [second, third] = [functions('step-2.ts'), functions('step-3.ts')]
    expect([...third].filter(([name, text]) => second.get(name) !== text).map(([name]) => name)).toEqual(['raiseHand'])
  })

  it('explains every member of the interface', () => {
    const design = readFileSync(join(ROOT, 'src/kernel/design/design.ts'), 'utf8')
    for (const node of readModule(parseSource('design/design.ts', design)).interfaces.get('Design')?.body.body ?? []) {
      const name = 'key' in node && node.key.type === 'Identifier' ? node.key.name : '?'
      if ('optional' in node && node.optional === true && name !== 'counters') continue
      expect(README.includes(`| \`${name}\``) || README.includes(`| \`${name}(`), name).toBe(true)
    }
  })

  it.each(commands)('%s', (command, output) => {
    const refused = output.startsWith('gracewalk: ')
    if (refused) {
      const [edit] = /(?<=With\n`)[^`]+(?=` as the first line of `handleFault`)/.exec(README)!
      writeFileSync(
        join(project, 'my-design/step-1.ts'),
        (texts.get('step-1.ts') as string).replace('  return faultUnder', `  ${edit}\n  return faultUnder`),
      )
    }
    try {
      const { status, stdout, stderr } = run(join(ROOT, 'dist/cli/main.js'), ...command.replaceAll("'", '').split(' '))
      expectOutput(refused ? stderr : stdout, output)
      expect(status).toBe(refused ? 2 : output.includes('not as expected') ? 1 : 0)
    } finally {
      if (refused) writeFileSync(join(project, 'my-design/step-1.ts'), texts.get('step-1.ts') as string)
    }
  })

  it('has a library example that runs', () => {
    const [text, ...more] = blocks('js')
    expect(more).toEqual([])
    writeFileSync(
      join(project, 'my-design/example.mjs'),
      `${text}const space = machine.createSpace()\nconst at = space.mmap({ length: 4096 })\nspace.setInt32(at, 7)\nconsole.log(space.getInt32(at))\n`,
    )
    expect(run('example.mjs')).toMatchObject({ stdout: '7\n', stderr: '', status: 0 })
  })

  it('is well-typed', () => {
    const { stdout, status } = run(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', EXAMPLE)
    expect(stdout).toBe('')
    expect(status).toBe(0)
  })
})
