// Designs of the user's own, read and turned: what is refused and with which words, imports of the user's files, lines, both forms.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { openTree } from '../../src/check/tree.ts'
import { DesignFileError, designTexts, readDesignFile, withTexts } from '../../src/compile/design-file.ts'
import { loadNativeDesign } from '../../src/compile/design-load.ts'
import { design } from '../../src/kernel/design/design.ts'
import { sysExit, sysNewMm } from '../../src/kernel/kernel.ts'
import { load } from '../../src/kernel/machine/instructions.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { bootMachine } from '../../src/machine/machine.ts'
import { isDesignFile, loadDesign, loadDesignOf } from '../../src/machine/own-design.ts'
import { machineShape } from '../../src/machine/shape.ts'

const STEPS = fileURLToPath(new URL('../../examples/my-design/', import.meta.url))
const STEP_1 = readFileSync(join(STEPS, 'step-1.ts'), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'gracewalk-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
/** A file of its own with `text`. */
function write(text: string, name = `own-${files++}.ts`): string {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

/** What is said about `text`, without the way to the file. */
function refused(text: string): string {
  const path = write(text)
  try {
    readDesignFile(path)
  } catch (error) {
    expect(error).toBeInstanceOf(DesignFileError)
    const { message } = error as Error
    expect(message).not.toContain('\n')
    return message.replaceAll(path, 'own.ts')
  }
  return 'nothing'
}

const changed = (from: string, to: string): string => {
  expect(STEP_1.split(from)).toHaveLength(2)
  return STEP_1.replace(from, () => to)
}
const inFault = (line: string): string => changed('  return faultUnder', `  ${line}\n  return faultUnder`)
const LAST = '  vmaFree,\n'

describe('a design file', () => {
  it('is taken as it stands in the example', () => {
    for (const step of ['step-1', 'step-2', 'step-3']) {
      const file = readDesignFile(join(STEPS, `${step}.ts`))
      expect([...file.modules.keys()]).toEqual([`${step}.ts`])
      expect(file.hash).toMatch(/^[0-9a-f]{16}$/)
    }
  })

  it.each([
    ['a syntax error', changed('function nothing(', 'function nothing(('), /^own\.ts:20:18: /],
    ['no Design', changed('export const', 'const'), /^own\.ts:1:1: it exports no Design: export const myDesign: Design = /],
    ['a Design without its type', changed('myDesign: Design', 'myDesign'), /^own\.ts:1:1: it exports no Design: /],
    [
      'two',
      `${STEP_1}export const b: Design = Object.freeze({ name: 'b' })\n`,
      /: it exports myDesign and b: one must be the default export$/,
    ],
    ['a Design made elsewhere', changed('Object.freeze({', 'Object.assign({'), /the Design myDesign must be written out/],
    ['a missing member', changed('  vmaDetach: nothing,\n', ''), /^own\.ts:26:14: the member 'vmaDetach' is missing: /],
    ['two of them', changed(`  vmaDetach: nothing,\n${LAST}`, ''), /: the members 'vmaDetach', 'vmaFree' are missing: /],
    [
      'a member that is meant otherwise',
      changed(LAST, '  vmaFre: vmaFree,\n'),
      /^own\.ts:38:3: a Design has no member 'vmaFre', did you mean 'vmaFree'\?$/,
    ],
    ['one too many', changed(LAST, `${LAST}  mmExit: nothing,\n`), /^own\.ts:39:3: a Design has no member 'mmExit'/],
    ['a number for a function', changed(LAST, '  vmaFree: 3,\n'), /^own\.ts:38:12: the member 'vmaFree' must be the name of a function$/],
    ['a closure for a function', changed(LAST, '  vmaFree: (x) => {},\n'), /: the member 'vmaFree' must be the name of a function$/],
    ['a table for a function', changed(LAST, '  vmaFree: Cache,\n'), /: design function 'vmaFree' must be the name of a function/],
    ['a number for a name', changed("'my-design'", '7'), /^own\.ts:27:9: the member 'name' must be a string$/],
    [
      'the name of another',
      changed("'my-design'", "'vma-lock'"),
      /^own\.ts:27:9: the name 'vma-lock' is that of a built-in design: choose another$/,
    ],
    ['a name that is none', changed("'my-design'", "'My design'"), /the name must be lower-case words with hyphens$/],
    [
      'too many arguments',
      changed('nothing(_object: number)', 'nothing(_o: number, _p: number)'),
      /^own\.ts:20:1: function 'nothing' takes 2 arguments, and gets 1 as 'mmInit' of a Design \(and 6 more places\)$/,
    ],
    [
      'no result',
      STEP_1.replace('access: number): number {\n  return ', 'access: number): void {\n  '),
      /^own\.ts:8:1: function 'handleFault' must return a number, as/,
    ],
    [
      'an object',
      inFault('const both = [mm, vpn]'),
      /^own\.ts:9:16: an array literal inside a function: a design must be in the kernel's language$/,
    ],
    [
      'two things',
      `${inFault('const both = [mm, vpn]')}\nexport class Mine {}\n`,
      / \(and 1 more place\): a design must be in the kernel's language$/,
    ],
    ['a package', `import { x } from 'lodash'\n${STEP_1}`, /^own\.ts:1:1: an import from outside src\/kernel \('lodash'\): /],
    ['no such module', `import { x } from 'gracewalk/kernel/none.ts'\n${STEP_1}`, /^own\.ts:1:1: there is no gracewalk\/kernel\/none\.ts$/],
    [
      'no such name',
      `import { none } from 'gracewalk/kernel/vma/vma.ts'\n${STEP_1}`,
      /^own\.ts:1:10: 'none' is not exported by vma\/vma\.ts: /,
    ],
    ['no such file', `import { x } from './none.ts'\n${STEP_1}`, /^own\.ts:1:1: '\.\/none\.ts': there is no such file$/],
  ])('is refused in one sentence: %s', (_what, text, sentence) => {
    expect(refused(text)).toMatch(sentence)
  })

  it('is refused if it is not there, or no file', () => {
    expect(() => readDesignFile(join(directory, 'none.ts'))).toThrow(/^design .*none\.ts: there is no such file$/)
    expect(() => readDesignFile(directory)).toThrow(/: it is a directory$/)
  })

  it('may have its Design as default export, whatever else it exports', async () => {
    const text = changed('export const', 'const')
    const file = readDesignFile(write(`${text}\nexport { handleFault }\nexport default myDesign\n`))
    expect((await loadNativeDesign(file)).name).toBe('my-design')
  })

  it('tells files from names', () => {
    expect(['./a.ts', 'a.ts', 'a.mts', '/x/a', 'C:\\a'].map(isDesignFile)).toEqual([true, true, true, true, true])
    expect(['vma-lock', 'all', 'typescript'].map(isDesignFile)).toEqual([false, false, false])
  })
})

describe('files of the user’s that a design imports', () => {
  const LOCK =
    "import { atomicAdd } from 'gracewalk/kernel/machine/instructions.ts'\n\nexport function bump(p: number): number {\n  return atomicAdd(p, 1)\n}\n"
  const USER = (from: string): string =>
    `import { bump } from '${from}'\nimport { Mm } from 'gracewalk/kernel/memory/mm.ts'\n${inFault('bump(mm + Mm.writerWait)')}`

  it('are turned with it, in both forms, under names that are nobody else’s', async () => {
    write(LOCK, 'deep/sync/rcu.ts') // named as a file of the kernel
    write("export { bump } from './sync/rcu.ts'\n", 'deep/pass.ts')
    const path = write(USER('./pass.ts'), 'deep/own.ts')
    const file = readDesignFile(path)
    expect([...file.modules.keys()]).toEqual(['own/sync/rcu.ts', 'pass.ts', 'own.ts'])
    expect((await loadNativeDesign(file)).handleFault).toBeTypeOf('function')
    const tree = await openTree()
    const before = tree.sites.length
    const table = (await tree.loadDesign(path)) as { handleFault: (...args: number[]) => Generator }
    expect(tree.sites.slice(before).map(({ file: of, line, function: fn, instruction }) => [of, line, fn, instruction])).toEqual([
      ['own/sync/rcu.ts', 4, 'bump', 'atomicAdd'],
    ])
    // A generator, since bump steps.
    expect(table.handleFault(0, 0, 0)).toHaveProperty('next')
  })

  it('count for the hash', () => {
    const lock = write(LOCK, 'hash/own-lock.ts')
    const path = write(USER('./own-lock.ts'), 'hash/own.ts')
    const { hash } = readDesignFile(path)
    expect(readDesignFile(path).hash).toBe(hash)
    writeFileSync(lock, `${LOCK}// changed\n`)
    expect(readDesignFile(path).hash).not.toBe(hash)
  })

  it('must not import each other in a circle', () => {
    write("import { x } from './b.ts'\n", 'circle/c.ts')
    write("import { x } from './c.ts'\n", 'circle/b.ts')
    expect(() => readDesignFile(write(USER('./b.ts'), 'circle/own.ts'))).toThrow(
      /circle\/c\.ts:1:1: '\.\/b\.ts' imports this file in turn$/,
    )
  })

  it('say where they are refused', () => {
    write(`${LOCK}export const f = () => 1\n`, 'refused/own-lock.ts')
    expect(() => readDesignFile(write(USER('./own-lock.ts'), 'refused/own.ts'))).toThrow(/refused\/own-lock\.ts:6:18: a closure/)
  })
})

describe('a loaded design', () => {
  it('is bound to the modules of the kernel that runs, with its constants folded', async () => {
    const path = write(readFileSync(join(STEPS, 'step-3.ts'), 'utf8'))
    expect(() => machineShape({ design: path })).toThrow(
      `the design ${path} is not loaded in this thread: await loadDesign('${path}') first`,
    )
    await loadDesign(path)
    const { shape } = bootMachine({ design: path, geometry: 'small', cpus: 1 })
    expect(shape).toMatchObject({ design: -1, own: { path, hash: readDesignFile(path).hash } })
    expect(design.name).toBe('raised-hands')
    // `load` and `store` of this file and of the kernel are the same, bound to the machine that was booted.
    const mm = sysNewMm()
    design.mmapWriteLocked(mm)
    expect(load(mm + Mm.mmLockSeq)).toBe(1)
    design.mmapWriteUnlocking(mm)
    expect(load(mm + Mm.mmLockSeq)).toBe(0)
    sysExit(mm)
    expect(String(design.releaseFault)).not.toContain('Cpu.')
    expect(String((await loadNativeDesign(readDesignFile(path))).handleFault)).toMatch(/=== 0 \? 1 : checkAccess/)
  })

  it('must be the one with which a machine was made, in other threads too', async () => {
    const path = write(STEP_1)
    await loadDesign(path)
    const shape = machineShape({ design: path })
    await loadDesignOf(shape)
    writeFileSync(path, `${STEP_1}// changed\n`)
    await loadDesign(path)
    await expect(loadDesignOf(shape)).rejects.toThrow(`the design ${path} has changed since the machine was made`)
    expect(machineShape({ design: path }).own?.hash).not.toBe(shape.own?.hash)
  })

  it('can be changed for an ablation', () => {
    const file = readDesignFile(join(STEPS, 'step-1.ts'))
    const texts = designTexts(file)
    const other = withTexts(file, { 'step-1.ts': (texts['step-1.ts'] as string).replace('kmemCacheFree(Cache.vma, vma)', '') })
    expect(other.modules.get('step-1.ts')?.functions.get('vmaFree')?.calls).toHaveLength(0)
    expect(file.modules.get('step-1.ts')?.functions.get('vmaFree')?.calls).toHaveLength(1)
  })
})
